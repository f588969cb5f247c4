"""Reading segments out of a store, every leaf verified before anyone sees it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.digests import (
    DIGEST_BYTES,
    LEAF_BYTES,
    SEGMENT_BYTES,
    ZERO_LEAF,
    leaf_digest,
    page_digest,
    segment_length,
)
from services.replication.content.errors import InvalidEncoding, ObjectCorrupt
from services.replication.content.keys import manifest_key, object_key
from services.replication.content.leaf_page import PAGE_LIMIT, SegmentLeaves, decode_page
from services.replication.content.manifest import (
    GROUP_SEGMENTS,
    MANIFEST_LIMIT,
    Extent,
    Manifest,
    PageRef,
    Segment,
)
from services.replication.content.store import ObjectReader

_CACHED_PAGES: Final = 16


def read_manifest(store: ObjectReader, tenant: str, root: bytes) -> Manifest:
    """Return the manifest with this root; ObjectMissing, or ObjectCorrupt where it is not it."""
    key = manifest_key(tenant, root)
    try:
        manifest = Manifest(store.read(key, limit=MANIFEST_LIMIT))
    except InvalidEncoding as error:
        raise ObjectCorrupt(key, str(error)) from error
    if manifest.root != root:
        raise ObjectCorrupt(key, "the manifest has another root than its name")
    return manifest


def read_page(store: ObjectReader, tenant: str, page: PageRef, *, uncached: bool = False) -> bytes:
    """Return an encoded leaf page whose bytes hash to its name."""
    key = object_key(tenant, page.digest)
    if not 0 < page.length <= PAGE_LIMIT:
        raise ObjectCorrupt(key, "the manifest tells an impossible length of a leaf page")
    data = bytearray(page.length)
    store.read_into(key, 0, memoryview(data), uncached=uncached)
    whole = bytes(data)
    if page_digest(whole) != page.digest:
        raise ObjectCorrupt(key, "leaf page does not hash to its name")
    return whole


def read_packed(
    store: ObjectReader,
    tenant: str,
    segment: Segment,
    leaves: SegmentLeaves,
    *,
    buffer: SegmentBuffer,
    uncached: bool = False,
) -> memoryview:
    """Read and verify a segment's bytes without its zero leaves, into the start of `buffer`."""
    at = 0
    for extent in segment.extents:
        target = buffer.view[at : at + extent.length]
        store.read_into(object_key(tenant, extent.digest), extent.offset, target, uncached=uncached)
        at += extent.length
    view = buffer.view[:at]
    verify_packed(tenant, segment, leaves, packed=view)
    return view


def verify_packed(
    tenant: str,
    segment: Segment,
    leaves: SegmentLeaves,
    *,
    packed: memoryview,
    first_leaf: int = 0,
) -> None:
    """Hash `packed`, the bytes of the leaves from `first_leaf` on that are not zero.

    Raises ObjectCorrupt with the object and the disk offset of the first leaf that is bad.
    """
    at = 0
    number = first_leaf
    while at < len(packed):
        digest = leaves.leaves[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
        if digest != ZERO_LEAF:
            size = min(LEAF_BYTES, leaves.length - number * LEAF_BYTES)
            if leaf_digest(packed[at : at + size]) != digest:
                start = packed_offset(leaves, number)
                raise ObjectCorrupt(
                    object_key(tenant, extent_at(segment, start).digest),
                    f"leaf {number} of segment {segment.index} does not hash to its digest",
                    disk_offset=segment.index * SEGMENT_BYTES + number * LEAF_BYTES,
                )
            at += size
        number += 1


def packed_offset(leaves: SegmentLeaves, number: int) -> int:
    """Return where leaf `number` begins among the bytes without zero leaves."""
    before = leaves.leaves[: number * DIGEST_BYTES]
    return LEAF_BYTES * sum(
        before[at : at + DIGEST_BYTES] != ZERO_LEAF for at in range(0, len(before), DIGEST_BYTES)
    )


def extent_at(segment: Segment, offset: int) -> Extent:
    """Return the extent that holds byte `offset` of the segment's packed bytes."""
    for extent in segment.extents:
        if offset < extent.length:
            return extent
        offset -= extent.length
    msg = "offset lies beyond the segment"
    raise ValueError(msg)


class LeafLists:
    """The leaf digests of a disk, its pages read when needed and the newest kept."""

    def __init__(self, store: ObjectReader, tenant: str, manifest: Manifest) -> None:
        self._store: Final = store
        self._tenant: Final = tenant
        self._manifest: Final = manifest
        self._lock = threading.Lock()
        self._pages: OrderedDict[int, Mapping[int, SegmentLeaves]] = OrderedDict()

    def of(self, segment: Segment) -> SegmentLeaves:
        """Return the leaves of a segment, proven against its digest; ObjectCorrupt otherwise."""
        group, position = divmod(segment.index, GROUP_SEGMENTS)
        leaves = self._page(group).get(position)
        size = segment_length(self._manifest.header.logical_size, segment.index)
        if leaves is None or leaves.length != size or leaves.digest() != segment.digest:
            key = object_key(self._tenant, self._manifest.page(group).digest)
            raise ObjectCorrupt(key, f"leaf page does not list segment {segment.index}")
        return leaves

    def _page(self, group: int) -> Mapping[int, SegmentLeaves]:
        with self._lock:
            known = self._pages.get(group)
            if known is not None:
                self._pages.move_to_end(group)
                return known
        ref = self._manifest.page(group)
        try:
            page = decode_page(read_page(self._store, self._tenant, ref))
        except InvalidEncoding as error:
            raise ObjectCorrupt(object_key(self._tenant, ref.digest), str(error)) from error
        with self._lock:
            self._pages[group] = page
            while len(self._pages) > _CACHED_PAGES:
                self._pages.popitem(last=False)
        return page
