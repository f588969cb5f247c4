"""Writing a disk out as a sparse raw file."""

from __future__ import annotations

import errno
import os
import threading
from typing import Final

from services.replication.content.buffers import SegmentBuffer, data_runs
from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES
from services.replication.content.errors import StoreFull, StoreIoError
from services.replication.content.manifest import Segment
from services.replication.content.progress import Control
from services.replication.content.replicate import Origin
from services.replication.content.segment_io import LeafLists, read_packed
from services.replication.content.workers import Workers

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def pull_disk(origin: Origin, path: str, control: Control, *, workers: int = 4) -> None:
    """Write the disk to a new file at `path`, every leaf verified before it is written.

    Holes and zero leaves stay holes. The file appears under its name once it is whole and durable;
    on failure nothing is left. An existing file is replaced.

    Raises:
        ObjectCorrupt, ObjectMissing: of the origin.
        StoreFull, StoreIoError: the file could not be written.
        Cancelled, FenceLost: as the control says.
    """
    partial = f"{path}.partial"
    manifest = origin.manifest
    control.progress.start(
        total=manifest.occupied_bytes,
        zero=manifest.header.logical_size - manifest.occupied_bytes,
    )
    try:
        descriptor = os.open(partial, _FLAGS, 0o600)
        try:
            os.ftruncate(descriptor, manifest.header.logical_size)
            with Workers(workers) as pool:
                _write_segments(origin, descriptor, control, workers=pool)
            os.fsync(descriptor)
        except BaseException:
            os.unlink(partial)
            raise
        finally:
            os.close(descriptor)
        os.rename(partial, path)
        parent = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    except OSError as error:
        kind = StoreFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreIoError
        raise kind(f"cannot write {path}: {error.strerror}") from error


def _write_segments(origin: Origin, target: int, control: Control, *, workers: Workers) -> None:
    lists = LeafLists(origin.store, origin.tenant, origin.manifest)
    segments = origin.manifest.segments()
    lock = threading.Lock()

    def claim() -> Segment | None:
        with lock:
            return next(segments, None)

    def work(segment: Segment, buffer: SegmentBuffer) -> None:
        control.check()
        leaves = lists.of(segment)
        packed = read_packed(origin.store, origin.tenant, segment, leaves, buffer=buffer)
        base, at = segment.index * SEGMENT_BYTES, 0
        for run in data_runs(leaves.leaves):
            begin = run.first * LEAF_BYTES
            end = min(begin + run.count * LEAF_BYTES, leaves.length)
            _write_at(target, packed[at : at + end - begin], base + begin)
            at += end - begin
        control.progress.add(copied=len(packed), verified=len(packed))

    workers.each(claim, work)


def _write_at(target: int, data: memoryview, offset: int) -> None:
    while len(data):
        written = os.pwrite(target, data, offset)
        data = data[written:]
        offset += written
