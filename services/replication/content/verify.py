"""Reading a replica back as a whole, and telling every object that is bad."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.content.manifest import Segment
from services.replication.content.progress import Control, Phase
from services.replication.content.replicate import Origin
from services.replication.content.segment_io import LeafLists, read_packed
from services.replication.content.workers import Workers


@dataclass(frozen=True, slots=True)
class Fault:
    """A segment that cannot be read: its object, and where on the disk the first bad byte may be.

    `disk_offset` is None where an object is missing, or is the leaf page of the segment.
    """

    segment: int
    key: str
    disk_offset: int | None
    detail: str


def unpaced(length: int) -> None:
    """Stand in for what slows reading down."""


def verify_disk(
    origin: Origin,
    control: Control,
    *,
    workers: int = 4,
    indexes: Collection[int] | None = None,
    pace: Callable[[int], None] = unpaced,
) -> list[Fault]:
    """Read all of a disk from the medium, hash it, and return its faults in order of the disk.

    Nothing is changed. With `indexes` only those segments are read; `pace` is called with the
    length of each before it is. The progress counts `verified` bytes. Raises what the store raises
    other than ObjectCorrupt and ObjectMissing, and Cancelled.
    """
    manifest = origin.manifest
    control.phase(Phase.VERIFYING)
    control.progress.start(
        total=manifest.occupied_bytes,
        zero=manifest.header.logical_size - manifest.occupied_bytes,
    )
    lists = LeafLists(origin.store, origin.tenant, manifest)
    faults: list[Fault] = []
    segments = (item for item in manifest.segments() if indexes is None or item.index in indexes)
    lock = threading.Lock()

    def claim() -> Segment | None:
        with lock:
            return next(segments, None)

    def work(segment: Segment, buffer: SegmentBuffer) -> None:
        control.check()
        pace(segment.packed_length)
        try:
            leaves = lists.of(segment)
            read_packed(origin.store, origin.tenant, segment, leaves, buffer=buffer, uncached=True)
        except ObjectCorrupt as error:
            faults.append(Fault(segment.index, error.key, error.disk_offset, str(error)))
        except ObjectMissing as error:
            faults.append(Fault(segment.index, error.key, None, str(error)))
        else:
            control.progress.add(verified=segment.packed_length)

    with Workers(workers) as pool:
        pool.each(claim, work)
    return sorted(faults, key=lambda fault: fault.segment)
