"""Repairing a disk in a store, object by object, from copies of it in other stores.

An object is set aside only once what replaces it is at hand and proven: until then its good
leaves go on being served, and what no copy can replace stays for a later one that can. What is
set aside is never deleted. A crash in between leaves an object missing, which the next
inspection finds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.digests import (
    DIGEST_BYTES,
    LEAF_BYTES,
    SEGMENT_BYTES,
    ZERO_LEAF,
    page_digest,
)
from services.replication.content.errors import DataError, InvalidEncoding, ObjectCorrupt
from services.replication.content.errors import ObjectMissing as Missing
from services.replication.content.inspection import (
    Inspection,
    Place,
    inspect_segments,
    inspect_whole,
)
from services.replication.content.keys import manifest_key, object_key
from services.replication.content.leaf_page import SegmentLeaves, encode_page
from services.replication.content.manifest import (
    GROUP_SEGMENTS,
    Extent,
    Manifest,
    PageRef,
    Segment,
    build_manifest,
)
from services.replication.content.progress import Control
from services.replication.content.reader import Data, DiskReader
from services.replication.content.segment_io import (
    LeafLists,
    read_manifest,
    read_packed,
    read_page,
)
from services.replication.content.store import Store
from services.replication.content.verify import Fault


@dataclass(frozen=True, slots=True)
class Repair:
    """What was written anew, and the faults for which no good copy was found."""

    repaired_bytes: int = 0
    left: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Copy:
    store: Store
    manifest: Manifest
    leaves: LeafLists
    reader: DiskReader


class GoodCopies:
    """The same disk in other stores, each opened when the ones before it did not suffice."""

    def __init__(self, tenant: str, root: bytes, stores: Sequence[Callable[[], Store]]) -> None:
        """`stores` open what may hold a copy, the nearest first."""
        self._tenant: Final = tenant
        self._root: Final = root
        self._waiting: Final = list(stores)
        self._opened: Final[list[_Copy]] = []

    def each(self) -> Iterator[_Copy]:
        """Yield the copies whose manifest is good."""
        yield from list(self._opened)
        while self._waiting:
            open_next = self._waiting.pop(0)
            # A store that is away, or has nothing, is none to copy from.
            with contextlib.suppress(DataError):
                store = open_next()
                copy = _opened(store, self._tenant, read_manifest(store, self._tenant, self._root))
                self._opened.append(copy)
                yield copy


def repair_disk(place: Place, found: Inspection, copies: GoodCopies, control: Control) -> Repair:
    """Replace what is bad by what a good copy has, and prove it by reading it back.

    `control.fence` is called before each object that is set aside.

    Raises:
        DataError: the store of the disk cannot be written now (StoreFull, StoreUnavailable, ...).
        Cancelled, or what the fence raises; what was repaired stays.
    """
    return _Repair(place, copies, control).run(found)


class _Repair:
    def __init__(self, place: Place, copies: GoodCopies, control: Control) -> None:
        self._place: Final = place
        self._copies: Final = copies
        self._control: Final = control
        self._bytes = 0

    def run(self, found: Inspection) -> Repair:
        if found.manifest is None and not self._has_manifest():
            manifest = next((copy.manifest for copy in self._copies.each()), None)
            if manifest is None:
                return Repair(0, found.faults)
            # Where this store had the segments is lost with its manifest: plain ones are looked
            # for, and those that are not there are faults like others.
            self._put_manifest(manifest.as_plain())
        if found.manifest is None:
            found = inspect_whole(self._place, self._control)
        left: list[Fault] = []
        manifest = found.manifest
        if manifest is None:
            return Repair(self._bytes, found.faults)
        bad = found.bad_groups(self._place.tenant)
        if bad:
            found, left = self._pages(manifest, found, bad)
        left += self._segments(manifest, found.faults)
        return Repair(self._bytes, tuple(sorted(left, key=lambda one: one.segment)))

    def _pages(
        self, manifest: Manifest, found: Inspection, groups: frozenset[int]
    ) -> tuple[Inspection, list[Fault]]:
        """Repair leaf pages; return what is bad below them, and what stays unknown."""
        mended = frozenset(group for group in groups if self._page(manifest, group))
        left = [
            fault for fault in found.faults if fault.segment // GROUP_SEGMENTS in groups - mended
        ]
        others = [fault for fault in found.faults if fault.segment // GROUP_SEGMENTS not in groups]
        indexes = frozenset(
            fault.segment for fault in found.faults if fault.segment // GROUP_SEGMENTS in mended
        )
        below = inspect_segments(self._place, self._control, indexes)
        return replace(found, faults=(*others, *below.faults)), left

    def _page(self, manifest: Manifest, group: int) -> bool:
        page = manifest.page(group)
        with contextlib.suppress(ObjectCorrupt, Missing):
            read_page(self._place.store, self._place.tenant, page, uncached=True)
            return True
        data = self._good_page(manifest, page)
        if data is None:
            return False
        key = object_key(self._place.tenant, page.digest)
        self._replace(key, [memoryview(data)])
        read_page(self._place.store, self._place.tenant, page, uncached=True)
        self._bytes += len(data)
        return True

    def _good_page(self, manifest: Manifest, page: PageRef) -> bytes | None:
        first = page.group * GROUP_SEGMENTS
        for copy in self._copies.each():
            with contextlib.suppress(DataError):
                # Put together from leaves that are proven: the encoding is canonical.
                entries = [
                    (item.index - first, copy.leaves.of(item))
                    for item in manifest.segments(first)
                    if item.index < first + GROUP_SEGMENTS
                ]
                data = encode_page(entries)
                if page_digest(data) == page.digest:
                    return data
        return None

    def _segments(self, manifest: Manifest, faults: Sequence[Fault]) -> list[Fault]:
        left: list[Fault] = []
        plain: set[int] = set()
        here = _opened(self._place.store, self._place.tenant, manifest)
        buffer = SegmentBuffer()
        for fault in faults:
            self._control.check()
            segment = manifest.find(fault.segment)
            if segment is None or self._is_good(segment, here, buffer):
                continue
            packed = self._gather(segment, here, buffer)
            if packed is None:
                left.append(fault)
                continue
            own = _plain(segment)
            if segment.is_plain or not self._is_good(own, here, SegmentBuffer()):
                self._replace(object_key(self._place.tenant, own.digest), [packed])
            if not self._is_good(own, here, buffer):
                left.append(fault)
                continue
            self._bytes += segment.packed_length
            self._control.progress.add(repaired=segment.packed_length)
            if not segment.is_plain:
                plain.add(segment.index)
        if plain:
            self._put_manifest(_with_plain(manifest, plain))
        return left

    def _gather(self, segment: Segment, here: _Copy, buffer: SegmentBuffer) -> memoryview | None:
        """Return a segment's proven bytes, of one copy or leaf by leaf of several."""
        for copy in self._copies.each():
            with contextlib.suppress(DataError):
                there = copy.manifest.find(segment.index)
                if there is not None:
                    return read_packed(
                        copy.store,
                        self._place.tenant,
                        there,
                        copy.leaves.of(there),
                        buffer=buffer,
                    )
        try:
            leaves = here.leaves.of(segment)
        except DataError:
            return None
        at = 0
        for number in range(len(leaves.leaves) // DIGEST_BYTES):
            if leaves.leaves[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES] == ZERO_LEAF:
                continue
            data = self._leaf(segment, leaves, number, here=here)
            if data is None:
                return None
            buffer.view[at : at + len(data)] = data
            at += len(data)
        return buffer.view[:at]

    def _leaf(
        self, segment: Segment, leaves: SegmentLeaves, number: int, *, here: _Copy
    ) -> memoryview | None:
        start = number * LEAF_BYTES
        size = min(LEAF_BYTES, leaves.length - start)
        for copy in [here, *self._copies.each()]:
            with contextlib.suppress(DataError):
                pieces = list(copy.reader.read(segment.index * SEGMENT_BYTES + start, size))
                if len(pieces) == 1 and isinstance(pieces[0], Data):
                    return pieces[0].data
        return None

    def _is_good(self, segment: Segment, here: _Copy, buffer: SegmentBuffer) -> bool:
        """Whether a segment is good by now: two may share an object, or somebody was faster."""
        try:
            read_packed(
                here.store,
                self._place.tenant,
                segment,
                here.leaves.of(segment),
                buffer=buffer,
                uncached=True,
            )
        except (ObjectCorrupt, Missing, InvalidEncoding):
            return False
        return True

    def _has_manifest(self) -> bool:
        with contextlib.suppress(ObjectCorrupt, Missing, InvalidEncoding):
            read_manifest(self._place.store, self._place.tenant, self._place.root)
            return True
        return False

    def _put_manifest(self, manifest: Manifest) -> None:
        key = manifest_key(self._place.tenant, manifest.root)
        self._replace(key, [memoryview(manifest.data)])
        self._bytes += len(manifest.data)

    def _replace(self, key: str, parts: Sequence[memoryview]) -> None:
        """Set aside what lies under a key, and write what belongs there."""
        self._control.fence()
        store = self._place.store
        store.quarantine(key)
        with store.begin(self._place.task) as window:
            window.put(key, parts)
            window.commit()


def _opened(store: Store, tenant: str, manifest: Manifest) -> _Copy:
    leaves = LeafLists(store, tenant, manifest)
    return _Copy(store, manifest, leaves, DiskReader(store, tenant, manifest))


def _plain(segment: Segment) -> Segment:
    extent = Extent(segment.digest, 0, segment.packed_length)
    return replace(segment, extents=(extent,))


def _with_plain(manifest: Manifest, indexes: set[int]) -> Manifest:
    """Return the manifest with some segments in objects of their own.

    Others may share the object that a bad leaf is in, so it stays for what is good of it.
    """
    segments = (_plain(item) if item.index in indexes else item for item in manifest.segments())
    return build_manifest(manifest.header, segments, tuple(manifest.pages()))
