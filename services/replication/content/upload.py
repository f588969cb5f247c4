"""Resumable uploads: bytes are hashed and stored as they arrive, and end as a committed blob.

A committed blob is a manifest root, its objects and a ref. A version made from it in the same slot
finds every object there and copies nothing.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from services.replication.content.buffers import SegmentBuffer
from services.replication.content.digests import SEGMENT_BYTES, journal_subject, packed_length
from services.replication.content.errors import (
    OffsetMismatch,
    StoreIoError,
)
from services.replication.content.ingest import RAW_DISK, DiskKind
from services.replication.content.journal import forget_task, read_journals
from services.replication.content.keys import object_key
from services.replication.content.leaf_page import SegmentLeaves
from services.replication.content.manifest import DiskHeader
from services.replication.content.progress import (
    DEFAULT_OPTIONS,
    Checkpoint,
    Control,
    CopyOptions,
)
from services.replication.content.refs import BlobRef, commit_blob
from services.replication.content.sealing import DiskBuilder
from services.replication.content.slots import (
    Copied,
    Slot,
    count_copied,
    is_good,
    journal_window,
)
from services.replication.content.store import PutOutcome, Window
from services.replication.content.windows import WINDOW_SEGMENTS

_THREADS: Final = 2


class BlobUpload:
    """Takes the bytes of one blob in order; one caller at a time.

    `offset` is where the next bytes belong, `durable_offset` where they would belong after a crash
    (a multiple of 4 MiB). After any error other than OffsetMismatch make a new one, which goes on
    at the durable offset. Memory is four segments.
    """

    def __init__(
        self,
        blob: str,
        slot: Slot,
        control: Control,
        *,
        kind: DiskKind = RAW_DISK,
        options: CopyOptions = DEFAULT_OPTIONS,
        take: Callable[[int], None] | None = None,
    ) -> None:
        """Begin an upload, or go on with the one that the slot's task has journalled.

        `take` is asked for the room of each segment before that is written, from any thread; where
        there is none, as much is written as the store takes.
        """
        self._blob: Final = blob
        self._slot: Final = slot
        self._control: Final = control
        self._kind: Final = kind
        self._options: Final = options
        self._take: Final = take
        self._subject: Final = journal_subject(f"blob {blob}")
        self._builder = DiskBuilder(slot.store, slot.tenant, slot.task)
        journals = read_journals(slot.store, slot.task, self._subject)
        for journal in journals:
            for entry in journal.entries:
                length = packed_length(entry.length, entry.leaves)
                self._builder.add(
                    entry.index, entry.digest, leaves=entry.segment_leaves(), packed_length=length
                )
                control.progress.grow(total=length, zero=entry.length - length)
                control.progress.add(copied=length, verified=length)
        self._sequence = len(journals)
        self._durable = journals[-1].end if journals else 0
        self._index = self._durable
        self._fill = 0
        self._buffer: SegmentBuffer | None = None
        self._free: queue.SimpleQueue[SegmentBuffer] = queue.SimpleQueue()
        for _ in range(_THREADS + 2):
            self._free.put(SegmentBuffer())
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="upload")
        self._window: Window | None = None
        self._running: list[Future[Copied | None]] = []
        self._window_bytes = 0
        self._window_began = time.monotonic()

    @property
    def offset(self) -> int:
        """The byte at which the upload goes on."""
        return self._index * SEGMENT_BYTES + self._fill

    @property
    def durable_offset(self) -> int:
        """The byte at which it would go on after a crash now."""
        return self._durable * SEGMENT_BYTES

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Append bytes; OffsetMismatch where `offset` is not `self.offset`, and nothing is taken.

        Also raises what the slot's store raises, StoreIoError where it returned other bytes than
        were written, and Cancelled or what the fence raises.
        """
        self._expect(offset)
        left = memoryview(data)
        while left:
            if self._buffer is None:
                self._buffer = self._free.get()
                self._buffer.clear(0, self._fill)
            count = min(len(left), SEGMENT_BYTES - self._fill)
            self._buffer.view[self._fill : self._fill + count] = left[:count]
            left = left[count:]
            self._advance(count)

    def write_zeros(self, offset: int, length: int) -> None:
        """Append `length` zero bytes, of which whole segments cost nothing; errors as `write`."""
        self._expect(offset)
        while length:
            if self._fill == 0 and length >= SEGMENT_BYTES:
                self._index += length // SEGMENT_BYTES
                self._control.progress.grow(zero=length - length % SEGMENT_BYTES)
                length %= SEGMENT_BYTES
                continue
            count = min(length, SEGMENT_BYTES - self._fill)
            if self._buffer is not None:
                self._buffer.clear(self._fill, self._fill + count)
            length -= count
            self._advance(count)

    def flush(self) -> int:
        """Make every full segment durable and return the durable offset."""
        copied = self._end_window()
        if self._index > self._durable:
            journal_window(
                self._slot,
                self._subject,
                self._sequence,
                start=self._durable,
                stop=self._index,
                copied=copied,
                keep_leaves=True,
            )
            self._control.checkpoint(
                Checkpoint(
                    self._slot.task, self._sequence, self._index, self._control.progress.sample()
                )
            )
            self._sequence += 1
            self._durable = self._index
        self._window_began = time.monotonic()
        return self.durable_offset

    def commit(self) -> BlobRef:
        """End the blob at the current offset: tail, manifest, ref. The blob is then immutable."""
        self.flush()
        size = self.offset
        if self._fill:
            # The tail is not journalled: a journal speaks of whole segments, after which more may
            # come. A crash before the ref therefore asks for the tail once more.
            self._end_segment()
            self._end_window()
        header = DiskHeader(size, self._kind.disk_format, self._kind.sector_size)
        manifest = self._builder.seal(header)
        ref = BlobRef(self._blob, self._slot.tenant, manifest.root, size)
        self._control.fence()
        commit_blob(self._slot.store, ref)
        forget_task(self._slot.store, self._slot.task)
        return ref

    def close(self) -> None:
        """Drop what is not durable; the journals stay for whoever goes on."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._window is not None:
            self._window.__exit__(None, None, None)
            self._window = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _expect(self, offset: int) -> None:
        if offset != self.offset:
            raise OffsetMismatch(self.offset, offset)

    def _advance(self, count: int) -> None:
        self._fill += count
        if self._fill == SEGMENT_BYTES:
            self._end_segment()
            late = time.monotonic() - self._window_began > self._options.window_seconds
            full = len(self._running) >= WINDOW_SEGMENTS
            if late or full or self._window_bytes >= self._options.window_bytes:
                self.flush()

    def _end_segment(self) -> None:
        self._control.check()
        index, length, buffer = self._index, self._fill, self._buffer
        self._index, self._fill, self._buffer = index + 1, 0, None
        if buffer is None:
            self._control.progress.grow(zero=length)
            return
        if self._window is None:
            self._control.fence()
            self._window = self._slot.store.begin(self._slot.task)
        self._window_bytes += length
        self._running.append(
            self._pool.submit(self._store, self._window, index, length, buffer=buffer)
        )

    def _store(
        self, window: Window, index: int, length: int, *, buffer: SegmentBuffer
    ) -> Copied | None:
        try:
            scan = buffer.scan(length)
            self._control.progress.grow(total=scan.packed_length, zero=length - scan.packed_length)
            if scan.packed_length == 0:
                return None
            leaves = SegmentLeaves(length, scan.leaves)
            digest = leaves.digest()
            key = object_key(self._slot.tenant, digest)
            if self._take is not None:
                self._take(scan.packed_length)
            outcome: PutOutcome = window.put(key, scan.packed, aligned=True)
            return Copied(index, digest, leaves, scan.packed_length, outcome)
        finally:
            self._free.put(buffer)

    def _end_window(self) -> list[Copied]:
        """Commit and read back what was put since the last call."""
        if self._window is None:
            return []
        running, self._running = self._running, []
        results = [future.result() for future in running]
        copied = [item for item in results if item is not None]
        self._window.commit()
        self._window.__exit__(None, None, None)
        self._window = None
        self._window_bytes = 0
        self._read_back(copied)
        for item in copied:
            count_copied(self._control, item)
            self._control.progress.add(verified=item.packed_length)
            self._builder.add(
                item.index, item.digest, leaves=item.leaves, packed_length=item.packed_length
            )
        return copied

    def _read_back(self, copied: list[Copied]) -> None:
        answers = list(self._pool.map(self._is_good, copied))
        bad = [item for item, good in zip(copied, answers, strict=True) if not good]
        for item in bad:
            self._slot.store.quarantine(object_key(self._slot.tenant, item.digest))
        if bad:
            raise StoreIoError(f"{len(bad)} objects read back other bytes than were written")

    def _is_good(self, item: Copied) -> bool:
        buffer = self._free.get()
        try:
            return is_good(self._slot, item, buffer)
        finally:
            self._free.put(buffer)
