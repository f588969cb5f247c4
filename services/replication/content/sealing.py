"""Ending a disk: its leaf pages and its manifest, made durable and read back."""

from __future__ import annotations

import struct
from typing import Final

from services.replication.content.digests import page_digest
from services.replication.content.errors import InvalidEncoding, ObjectCorrupt, ObjectMissing
from services.replication.content.keys import manifest_key, object_key
from services.replication.content.leaf_page import SegmentLeaves, encode_page
from services.replication.content.manifest import (
    GROUP_SEGMENTS,
    DiskHeader,
    Extent,
    Manifest,
    PageRef,
    Segment,
    build_manifest,
)
from services.replication.content.segment_io import read_manifest, read_page
from services.replication.content.store import Store
from services.replication.content.tombstones import keep

_RECORD: Final = struct.Struct("<I32sI")


class DiskBuilder:
    """Collects the segments of a disk in order, and writes a leaf page as each group is full.

    Memory is 40 bytes for each segment, the extents of those in packs, and one page.
    """

    def __init__(self, store: Store, tenant: str, task: str) -> None:
        self._store: Final = store
        self._tenant: Final = tenant
        self._task: Final = task
        self._table = bytearray()
        self._placed: dict[int, tuple[Extent, ...]] = {}
        self._pages: list[PageRef] = []
        self._group = -1
        self._open: list[tuple[int, SegmentLeaves]] = []

    def add(
        self,
        index: int,
        digest: bytes,
        *,
        leaves: SegmentLeaves,
        packed_length: int,
        extents: tuple[Extent, ...] = (),
    ) -> None:
        """Add a segment that is not a hole; indexes ascend. No extents: an object of its own."""
        group, position = divmod(index, GROUP_SEGMENTS)
        if group != self._group:
            self._end_group()
            self._group = group
        self._open.append((position, leaves))
        self._table += _RECORD.pack(index, digest, packed_length)
        if extents:
            self._placed[index] = extents

    def seal(self, header: DiskHeader) -> Manifest:
        """Write what is left and the manifest; return it as it is in the store."""
        self._end_group()
        segments = (
            Segment(index, digest, length, self._placed.get(index, ()))
            for index, digest, length in _RECORD.iter_unpack(self._table)
        )
        manifest = build_manifest(header, segments, self._pages)
        return put_manifest(self._store, self._tenant, self._task, manifest=manifest)

    def _end_group(self) -> None:
        if not self._open:
            return
        data = encode_page(self._open)
        page = PageRef(self._group, len(data), page_digest(data))
        put_page(self._store, self._tenant, self._task, page=page, data=data)
        self._pages.append(page)
        self._open.clear()


def put_page(store: Store, tenant: str, task: str, *, page: PageRef, data: bytes) -> None:
    """Make a leaf page durable in the store and read it back; a bad one is replaced once."""
    key = object_key(tenant, page.digest)
    for final in (False, True):
        _put(store, task, key, data=data)
        try:
            read_page(store, tenant, page, uncached=True)
        except (ObjectCorrupt, ObjectMissing):
            if final:
                raise
            store.quarantine(key)
        else:
            keep(store, [key])
            return


def put_manifest(store: Store, tenant: str, task: str, *, manifest: Manifest) -> Manifest:
    """Make a manifest durable in the store unless a good one of its root is there.

    One that is there may describe other extents for the same content; refs may rely on it, so it
    stays as long as what it leads to is there.
    """
    key = manifest_key(tenant, manifest.root)
    try:
        found = read_manifest(store, tenant, manifest.root)
        if found.data != manifest.data and not _is_whole(store, tenant, found):
            raise ObjectCorrupt(key, "the manifest leads to objects that are gone")
    except (ObjectMissing, ObjectCorrupt, InvalidEncoding) as error:
        if not isinstance(error, ObjectMissing):
            store.quarantine(key)
        _put(store, task, key, data=manifest.data)
        found = read_manifest(store, tenant, manifest.root)
    keep(store, [key])
    return found


def _is_whole(store: Store, tenant: str, manifest: Manifest) -> bool:
    """Whether every object that a manifest leads to is there and long enough."""
    needed: dict[bytes, int] = {}
    for segment in manifest.segments():
        for one in segment.extents:
            needed[one.digest] = max(needed.get(one.digest, 0), one.offset + one.length)
    return all(
        (store.length(object_key(tenant, digest)) or 0) >= length
        for digest, length in needed.items()
    )


def _put(store: Store, task: str, key: str, *, data: bytes) -> None:
    with store.begin(task) as window:
        window.put(key, [memoryview(data)])
        window.commit()
