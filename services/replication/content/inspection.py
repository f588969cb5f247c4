"""Finding out what of a disk in a store is bad: manifest, leaf pages, segments.

What is found is told by object, so that exactly those objects are repaired (content.repair).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from services.replication.content.errors import InvalidEncoding, ObjectCorrupt, ObjectMissing
from services.replication.content.keys import manifest_key, object_key
from services.replication.content.manifest import GROUP_SEGMENTS, Manifest
from services.replication.content.progress import Control
from services.replication.content.replicate import Origin
from services.replication.content.segment_io import read_manifest, read_page
from services.replication.content.store import Store
from services.replication.content.verify import Fault, unpaced, verify_disk

SAMPLE_EVERY: Final = 100
"""Of so many segments one is read where a sample suffices."""

NO_SEGMENT: Final = -1
"""The segment of a fault that is the manifest's."""


@dataclass(frozen=True, slots=True)
class Place:
    """A disk in a store, whether it is whole or not; `task` is what is written there is told by."""

    store: Store
    tenant: str
    root: bytes
    task: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found; `manifest` is None where it is the manifest that is bad."""

    manifest: Manifest | None
    faults: tuple[Fault, ...] = ()
    read_bytes: int = 0

    @property
    def damaged_bytes(self) -> int:
        """The bytes of the objects that are bad, at least 1 where anything is."""
        return sum(self._lengths().values())

    def bad_groups(self, tenant: str) -> frozenset[int]:
        """Return the groups of segments whose leaf page is bad."""
        if self.manifest is None:
            return frozenset()
        keys = {fault.key for fault in self.faults}
        pages = self.manifest.pages()
        return frozenset(one.group for one in pages if object_key(tenant, one.digest) in keys)

    def _lengths(self) -> dict[str, int]:
        found: dict[str, int] = {}
        pages = {} if self.manifest is None else {p.group: p for p in self.manifest.pages()}
        for fault in self.faults:
            segment = None if self.manifest is None else self.manifest.find(fault.segment)
            if segment is None:
                found[fault.key] = 1
                continue
            page = pages.get(segment.index // GROUP_SEGMENTS)
            if page is not None and fault.key.endswith(page.digest.hex()):
                found[fault.key] = page.length
            else:
                found[f"{fault.key} {segment.index}"] = segment.packed_length
        return found


def inspect_whole(
    place: Place, control: Control, *, pace: Callable[[int], None] = unpaced, workers: int = 4
) -> Inspection:
    """Read every byte back from the medium and hash it.

    Raises Cancelled, and what the store raises that is no damage (StoreUnavailable, ...).
    """
    return _inspect(place, control, None, pace=pace, workers=workers)


def inspect_sample(place: Place, control: Control, *, workers: int = 4) -> Inspection:
    """Do the same with one segment in a hundred, at least one, chosen at random."""

    def choose(manifest: Manifest) -> frozenset[int]:
        count = -(-len(manifest) // SAMPLE_EVERY)
        chosen = random.sample(range(len(manifest)), count)
        return frozenset(manifest.segment(position).index for position in chosen)

    return _inspect(place, control, choose, pace=unpaced, workers=workers)


def inspect_presence(place: Place, control: Control) -> Inspection:
    """Ask the store for the presence and the length of each object; read but the manifest."""
    manifest, fault = _manifest(place)
    if manifest is None or fault is not None:
        return Inspection(None, () if fault is None else (fault,))
    needed = _needed_lengths(manifest)
    faults: list[Fault] = []
    pages = {page.digest: page for page in manifest.pages()}
    for digest, (length, index, exact) in needed.items():
        control.check()
        key = object_key(place.tenant, digest)
        found = place.store.length(key)
        if found is None or found < length or (exact and found != length):
            what = "leaf page" if digest in pages else "object"
            detail = f"the {what} has {found} bytes, not {length}"
            faults.append(Fault(index, key, None, detail))
    faults.sort(key=lambda one: one.segment)
    return Inspection(manifest, tuple(faults), manifest.occupied_bytes)


def inspect_segments(place: Place, control: Control, indexes: frozenset[int]) -> Inspection:
    """Read some segments back, after their leaf pages were repaired."""
    return _inspect(place, control, lambda _: indexes, pace=unpaced, workers=2)


def _inspect(
    place: Place,
    control: Control,
    choose: Callable[[Manifest], frozenset[int]] | None,
    *,
    pace: Callable[[int], None],
    workers: int,
) -> Inspection:
    manifest, fault = _manifest(place)
    if manifest is None or fault is not None:
        return Inspection(None, () if fault is None else (fault,))
    indexes = None if choose is None else choose(manifest)
    faults = [
        fault
        for fault in _page_faults(place, manifest)
        if indexes is None or fault.segment in indexes
    ]
    origin = Origin(place.store, place.tenant, manifest)
    found = verify_disk(origin, control, workers=workers, indexes=indexes, pace=pace)
    known = {fault.segment for fault in found}
    faults = sorted([*found, *(f for f in faults if f.segment not in known)], key=_by_segment)
    read = sum(
        item.packed_length
        for item in manifest.segments()
        if indexes is None or item.index in indexes
    )
    return Inspection(manifest, tuple(faults), read)


def _by_segment(fault: Fault) -> int:
    return fault.segment


def _manifest(place: Place) -> tuple[Manifest | None, Fault | None]:
    try:
        return read_manifest(place.store, place.tenant, place.root), None
    except (ObjectMissing, ObjectCorrupt, InvalidEncoding) as error:
        key = manifest_key(place.tenant, place.root)
        return None, Fault(NO_SEGMENT, key, None, str(error))


def _page_faults(place: Place, manifest: Manifest) -> Iterator[Fault]:
    """Yield a fault for each segment of a page that the medium does not return.

    Read here past the cache: who verifies segments takes pages from memory.
    """
    for page in manifest.pages():
        try:
            read_page(place.store, place.tenant, page, uncached=True)
        except (ObjectMissing, ObjectCorrupt) as error:
            first = page.group * GROUP_SEGMENTS
            for segment in manifest.segments(first):
                if segment.index >= first + GROUP_SEGMENTS:
                    break
                key = object_key(place.tenant, page.digest)
                yield Fault(segment.index, key, None, str(error))


def _needed_lengths(manifest: Manifest) -> dict[bytes, tuple[int, int, bool]]:
    """Return by object: the bytes that it must have, a segment of it, and whether no more."""
    needed: dict[bytes, tuple[int, int, bool]] = {}
    for segment in manifest.segments():
        for extent in segment.extents:
            end = extent.offset + extent.length
            known = needed.get(extent.digest, (0, segment.index, False))
            exact = known[2] or segment.is_plain
            needed[extent.digest] = (max(end, known[0]), known[1], exact)
    for page in manifest.pages():
        needed[page.digest] = (page.length, page.group * GROUP_SEGMENTS, True)
    return needed
