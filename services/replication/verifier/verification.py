"""Verifying a whole store: what names what, and whether every byte is what its name stands for.

The order is that of the names: refs name manifests, manifests name leaf pages and objects, leaf
pages hold the digests of leaves. What nothing names is compared with its own name, as far as that
can be done without a leaf page.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.digests import segment_length
from services.replication.content.errors import (
    DataError,
    InvalidEncoding,
    ObjectCorrupt,
    ObjectMissing,
)
from services.replication.content.journal import JOURNAL_LIMIT, decode_journal
from services.replication.content.keys import (
    FORMAT_KEY,
    REPLICA_ID_KEY,
    manifest_key,
    object_key,
)
from services.replication.content.leaf_page import SegmentLeaves, decode_page
from services.replication.content.manifest import GROUP_SEGMENTS, Manifest, PageRef, Segment
from services.replication.content.segment_io import read_manifest, read_packed, read_page
from services.replication.content.workers import Workers
from services.replication.stores.layout import check_format
from services.replication.verifier.documents import (
    blob_ref_at,
    check_tombstones,
    is_named_by,
    replica_id_of,
    version_ref_at,
)
from services.replication.verifier.reading import Contents
from services.replication.verifier.report import Damage, Report
from services.replication.verifier.shapes import Shape, shape_of

Work = tuple[Segment, SegmentLeaves]


class Verification:
    """One run over a store."""

    def __init__(self, contents: Contents, *, replica_id: str = "", workers: int = 4) -> None:
        """Verify `contents`; `replica_id` is what the region's registry knows, empty for any."""
        self._contents: Final = contents
        self._wanted_id: Final = replica_id
        self._workers: Final = workers
        self._report: Final = Report(contents.address)
        self._lock: Final = threading.Lock()
        self._lengths: Final[dict[str, int]] = {}
        self._keys: Final[dict[Shape, list[str]]] = {shape: [] for shape in Shape}
        # Who needs the manifest at a key.
        self._needed: Final[dict[str, set[str]]] = {}
        self._sizes: Final[dict[str, tuple[str, int]]] = {}
        # Objects that were compared with a name, and segments that were found good.
        self._proven: Final[set[str]] = set()
        self._good: Final[set[tuple[str, Segment]]] = set()
        # Leaves that journals tell of segments that no manifest names yet.
        self._journalled: Final[dict[bytes, SegmentLeaves]] = {}

    def run(self) -> Report:
        """Answer what is wrong.

        Raises:
            DataError: the store cannot be listed.
        """
        self._list()
        self._check_identity()
        self._each(Shape.VERSION_REF, self._version_ref)
        self._each(Shape.BLOB_REF, self._blob_ref)
        for key in sorted({*self._keys[Shape.MANIFEST], *self._needed}):
            self._manifest(key)
        self._each(Shape.JOURNAL, self._journal)
        self._each(Shape.TOMBSTONES, check_tombstones)
        for key in self._keys[Shape.OBJECT]:
            if key not in self._proven and key not in self._report.findings:
                self._checked(key, self._stray)
        return self._report

    def _list(self) -> None:
        """Take in what there is, by its shape."""
        for entry in self._contents.entries():
            if entry.problem:
                self._report.add(entry.key, Damage.UNREADABLE, entry.problem)
                continue
            shape = shape_of(entry.key) if entry.regular else Shape.UNKNOWN
            self._report.counts[shape.value] += 1
            if shape is Shape.UNKNOWN:
                what = "the format has no such key" if entry.regular else "is no regular file"
                self._report.add(entry.key, Damage.UNKNOWN, what)
                continue
            self._lengths[entry.key] = entry.length
            self._keys[shape].append(entry.key)

    def _each(self, shape: Shape, check: Callable[[str, bytes], None]) -> None:
        for key in self._keys[shape]:
            self._checked(key, check)

    def _checked(self, key: str, check: Callable[[str, bytes], None]) -> None:
        """Run a check on what lies at a key, and note what is wrong with it."""
        try:
            check(key, self._read(key, JOURNAL_LIMIT))
        except InvalidEncoding as error:
            self._report.add(key, Damage.CORRUPT, str(error))
        except ObjectMissing:
            # Taken away since the store was listed: nothing that is there names it.
            self._report.counts[shape_of(key).value] -= 1
        except DataError as error:
            self._report.add_error(key, error)

    def _read(self, key: str, limit: int) -> bytes:
        data = self._contents.read(key, limit=limit)
        self._report.read_bytes += len(data)
        return data

    def _check_identity(self) -> None:
        for key, check in ((FORMAT_KEY, self._format), (REPLICA_ID_KEY, self._replica_id)):
            if key in self._lengths:
                self._checked(key, check)
            else:
                self._report.add(key, Damage.MISSING, "a store has one")

    def _format(self, key: str, data: bytes) -> None:
        try:
            check_format(data, self._report.address)
        except DataError as error:
            raise InvalidEncoding(str(error)) from error

    def _replica_id(self, key: str, data: bytes) -> None:
        self._report.replica_id = found = replica_id_of(data)
        if self._wanted_id not in {"", found}:
            raise InvalidEncoding(f"this is replica {found}, not {self._wanted_id}")

    def _version_ref(self, key: str, data: bytes) -> None:
        ref = version_ref_at(key, data)
        for root in ref.disks.values():
            self._need(ref.tenant, root, key)

    def _blob_ref(self, key: str, data: bytes) -> None:
        ref = blob_ref_at(key, data)
        self._need(ref.tenant, ref.root, key)
        self._sizes[key] = (manifest_key(ref.tenant, ref.root), ref.logical_size)

    def _need(self, tenant: str, root: bytes, ref: str) -> None:
        try:
            key = manifest_key(tenant, root)
        except ValueError as error:
            raise InvalidEncoding(str(error)) from error
        if shape_of(key) is not Shape.MANIFEST:
            raise InvalidEncoding("the ref names no image root")
        self._needed.setdefault(key, set()).add(ref)

    def _manifest(self, key: str) -> None:
        """Verify a disk: its manifest, its leaf pages, and every object that it names."""
        _, tenant, name = key.split("/")
        refs = self._needed.get(key, set())
        try:
            manifest = read_manifest(self._contents, tenant, bytes.fromhex(name))
        except ObjectMissing as error:
            if refs:
                self._report.add_error(key, error, refs)
            return
        except DataError as error:
            self._report.add_error(key, error, refs)
            return
        self._report.read_bytes += len(manifest.data)
        for ref, (needed, size) in self._sizes.items():
            if needed == key and size != manifest.header.logical_size:
                self._report.add(ref, Damage.CORRUPT, "the ref tells another size than its disk")
        segments = self._segments(tenant, manifest, refs)
        lock = threading.Lock()

        def claim() -> Work | None:
            with lock:
                return next(segments, None)

        def look(item: Work, buffer: SegmentBuffer) -> None:
            self._segment(tenant, *item, refs=refs, buffer=buffer)

        with Workers(self._workers) as pool:
            pool.each(claim, look)

    def _segments(self, tenant: str, manifest: Manifest, refs: Iterable[str]) -> Iterator[Work]:
        """Yield the segments whose leaves are known; a bad page hides those of its group."""
        for page in manifest.pages():
            leaves = self._page(tenant, page, refs)
            start = page.group * GROUP_SEGMENTS
            for segment in manifest.segments(start):
                if segment.index >= start + GROUP_SEGMENTS:
                    break
                for extent in segment.extents:
                    self._proven.add(object_key(tenant, extent.digest))
                if leaves is None:
                    self._present(tenant, segment, refs)
                    continue
                listed = leaves.get(segment.index - start)
                size = segment_length(manifest.header.logical_size, segment.index)
                if listed is None or listed.length != size or listed.digest() != segment.digest:
                    key = object_key(tenant, page.digest)
                    detail = f"the leaf page does not list segment {segment.index}"
                    self._note(key, Damage.CORRUPT, detail, refs)
                    continue
                yield segment, listed

    def _page(
        self, tenant: str, page: PageRef, refs: Iterable[str]
    ) -> Mapping[int, SegmentLeaves] | None:
        key = object_key(tenant, page.digest)
        self._proven.add(key)
        length = self._length(key)
        try:
            data = read_page(self._contents, tenant, page)
            if length != page.length:
                raise ObjectCorrupt(key, f"is {length} bytes long, not {page.length}")
            self._count("leafPages", len(data))
            return decode_page(data)
        except InvalidEncoding as error:
            self._note(key, Damage.CORRUPT, str(error), refs)
        except DataError as error:
            with self._lock:
                short = length is not None and length < page.length
                self._report.add_error(key, error, refs, short=short)
        return None

    def _segment(
        self,
        tenant: str,
        segment: Segment,
        leaves: SegmentLeaves,
        *,
        refs: Iterable[str],
        buffer: SegmentBuffer,
    ) -> None:
        """Verify the bytes of a segment, once however many disks have it."""
        if not self._present(tenant, segment, refs):
            return
        with self._lock:
            if (tenant, segment) in self._good:
                return
        try:
            read_packed(self._contents, tenant, segment, leaves, buffer=buffer, uncached=True)
        except (ObjectCorrupt, ObjectMissing) as error:
            with self._lock:
                self._report.add_error(error.key, error, refs)
        except DataError as error:
            keys = [object_key(tenant, extent.digest) for extent in segment.extents]
            with self._lock:
                self._report.add_error(keys[0], error, refs)
        else:
            with self._lock:
                self._good.add((tenant, segment))
            self._count("segments", segment.packed_length)

    def _present(self, tenant: str, segment: Segment, refs: Iterable[str]) -> bool:
        """Note objects of a segment that are not there, or not long enough."""
        whole = True
        for extent in segment.extents:
            key = object_key(tenant, extent.digest)
            length, needed = self._length(key), extent.offset + extent.length
            if length is None:
                self._note(key, Damage.MISSING, f"segment {segment.index} lies in it", refs)
            elif length < needed:
                detail = f"is {length} bytes long; segment {segment.index} needs {needed}"
                self._note(key, Damage.TRUNCATED, detail, refs)
            elif segment.is_plain and length > needed:
                detail = f"is {length} bytes long, not {needed}"
                self._note(key, Damage.CORRUPT, detail, refs)
            else:
                continue
            whole = False
        return whole

    def _length(self, key: str) -> int | None:
        """Answer the length of an object, of one too that came since the store was listed."""
        try:
            found = self._lengths.get(key)
            return self._contents.length(key) if found is None else found
        except DataError:
            return None

    def _journal(self, key: str, data: bytes) -> None:
        for entry in decode_journal(data).entries:
            if entry.leaves:
                self._journalled[entry.digest] = entry.segment_leaves()

    def _stray(self, key: str, data: bytes) -> None:
        """Compare an object that no manifest names with its own name.

        A segment with zero leaves cannot be: where they are only a leaf page or a journal tells.
        """
        digest = bytes.fromhex(key.rpartition("/")[2])
        if is_named_by(data, digest, self._journalled.get(digest)):
            self._report.counts["unreferenced"] += 1
        else:
            self._report.counts["unproven"] += 1

    def _note(self, key: str, damage: Damage, detail: str, refs: Iterable[str]) -> None:
        with self._lock:
            self._report.add(key, damage, detail, refs)

    def _count(self, what: str, read: int) -> None:
        with self._lock:
            self._report.counts[what] += 1
            self._report.read_bytes += read
