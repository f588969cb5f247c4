"""One stream into one blob."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import blake3

from services.replication.content.digests import SEGMENT_BYTES
from services.replication.content.errors import Cancelled, DataError
from services.replication.content.progress import Checkpoint, Control, CopyOptions, Counters
from services.replication.content.refs import BlobRef
from services.replication.content.slots import Slot
from services.replication.content.store import Store
from services.replication.content.upload import BlobUpload
from services.replication.domain.blobs import (
    MAX_BLOB_BYTES,
    UNHELD_FOR,
    Blob,
    BlobState,
    HeldBlob,
)
from services.replication.ports.room import Holder
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases import blob_errors
from services.replication.usecases.content_digest import content_digest
from services.replication.usecases.fenced_store import FencedStore
from services.replication.usecases.room import NoRoom, UploadRoom, promise

T = TypeVar("T")


class UploadSession:
    """One stream into one blob; one thread at a time. After an error only `close` is left.

    With a `ref` the bytes are complete in the slot, and a commit alone is taken: the blob is
    committed, or was about to be when its last stream broke.
    """

    def __init__(
        self,
        rows: UnitOfWork,
        blob: Blob,
        store: Store,
        *,
        ref: BlobRef | None,
        options: CopyOptions | None = None,
    ) -> None:
        self._rows: Final = rows
        self.blob: Final = blob
        self._store: Final = store
        self._ref = ref
        self._control: Final = Control(fence=self._check_fence, checkpoint=self._checkpoint)
        self._room: Final = UploadRoom(self._promise)
        self._upload: BlobUpload | None = None
        self._durable = blob.committed_bytes
        self._is_broken = False
        self._is_sealed = False
        if ref is None and options is not None:
            fenced: Any = FencedStore(store, self._check_fence)
            slot = Slot(fenced, blob.tenant, blob.task)
            self._upload = BlobUpload(
                blob.uid, slot, self._control, options=options, take=self._room.take
            )

    @property
    def offset(self) -> int:
        """The byte at which the next piece belongs."""
        if self._upload is not None:
            return self._upload.offset
        return self._ref.logical_size if self._ref is not None else 0

    @property
    def durable_offset(self) -> int:
        """The byte at which it would go on after a crash now."""
        return self._durable

    def abandon(self) -> None:
        """Make what runs on another thread end soon."""
        self._control.cancelled.set()

    def exists(self) -> bool:
        """Whether the blob is still there."""
        return self._rows.read(lambda tx: tx.blobs.get(self.blob.uid)) is not None

    def reconcile(self, offset: int) -> None:
        """Make the row say what the slot holds, and demand that the stream begins there."""
        if self.offset != self.blob.committed_bytes:
            self._record(self.offset, self._control.progress.sample())
        self._durable = self.offset
        if offset != self.offset:
            raise blob_errors.offset_mismatch(self.blob, self.offset)

    def write(self, offset: int, data: bytes, digest: bytes) -> None:
        """Take a piece with its BLAKE3 digest.

        Raises:
            InvalidArgument: UPLOAD_SEQUENCE_INVALID, CHUNK_DIGEST_MISMATCH.
            FailedPrecondition: BLOB_COMMITTED, UPLOAD_SIZE_MISMATCH.
            StoaError: of the store, or of whoever took over or deleted the blob.
        """
        upload = self._taking(offset, len(data))
        if blake3.blake3(data).digest() != digest:
            durable = self._guarded(upload.flush)
            raise blob_errors.chunk_mismatch(offset, durable)
        self._guarded(lambda: upload.write(offset, data))

    def write_zeros(self, offset: int, length: int) -> None:
        """Take a range of zeros; errors as `write`."""
        upload = self._taking(offset, length)
        self._guarded(lambda: upload.write_zeros(offset, length))

    def finish(self) -> HeldBlob:
        """End the stream and keep what is durable."""
        if self._upload is not None:
            upload = self._upload
            self._guarded(upload.flush)
        return self._current()

    def save(self) -> None:
        """Keep what can be kept of a stream that broke; the next one goes on there."""
        if self._upload is not None and not self._is_broken and not self._is_sealed:
            self._guarded(self._upload.flush)

    def commit(self, size: int, *, blake3_digest: bytes, sha256_digest: bytes) -> HeldBlob:
        """Make the blob immutable once its size and its digest, where given, are right.

        Raises:
            FailedPrecondition: UPLOAD_SIZE_MISMATCH, CONTENT_DIGEST_MISMATCH, BLOB_COMMITTED.
            StoaError: as `write`.
        """
        if self.blob.is_committed and size != self.offset:
            raise blob_errors.committed(self.blob)
        if size != self.offset or size != (self.blob.size_bytes or size):
            self.finish()
            raise blob_errors.size_mismatch(self.blob, self._durable, size)
        ref = self._ref
        if ref is None:
            if self._upload is None:
                raise RuntimeError("a session without bytes and without a ref")
            ref = self._guarded(self._upload.commit)
            self._is_sealed = True
            self._durable = size
        self._guarded(lambda: self._verify(ref, blake3_digest, sha256_digest))
        return self._current() if self.blob.is_committed else self._committed(ref)

    def close(self) -> None:
        """Let go of everything; what is durable stays."""
        if self._upload is not None:
            self._upload.close()
        if self._room.is_used:
            self._give_back()

    def _taking(self, offset: int, length: int) -> BlobUpload:
        if offset != self.offset:
            raise blob_errors.sequence_invalid(
                offset, f"a piece begins at byte {self.offset}, where the one before it ended"
            )
        if self.blob.is_committed:
            raise blob_errors.committed(self.blob)
        end = offset + length
        if self._upload is None or end > (self.blob.size_bytes or MAX_BLOB_BYTES):
            self.finish()
            raise blob_errors.size_mismatch(self.blob, self._durable, end)
        return self._upload

    def _verify(self, ref: BlobRef, blake3_digest: bytes, sha256_digest: bytes) -> None:
        expected = blake3_digest or sha256_digest
        if not expected:
            return
        found = content_digest(
            self._store, ref, use_blake3=bool(blake3_digest), control=self._control
        )
        if found != expected:
            if not self.blob.is_committed:
                self._record(ref.logical_size, self._control.progress.sample())
            raise blob_errors.content_mismatch(self.blob, found)

    def _committed(self, ref: BlobRef) -> HeldBlob:
        counters = self._control.progress.sample()
        resumed = self._upload is None

        def work(tx: Tx) -> HeldBlob:
            blob = self._locked(tx)
            now = tx.now()
            done = replace(
                blob,
                state=BlobState.COMMITTED,
                size_bytes=ref.logical_size,
                committed_bytes=ref.logical_size,
                zero_bytes=blob.zero_bytes if resumed else counters.zero,
                stored_bytes=blob.stored_bytes if resumed else counters.copied,
                root=ref.root.hex(),
                update_time=now,
                commit_time=now,
                expire_time=now + UNHELD_FOR,
                revision=blob.revision + 1,
            )
            tx.blobs.update(done)
            tx.room.release(self._holder)
            return HeldBlob(done)

        return self._rows.transact(work)

    def _checkpoint(self, checkpoint: Checkpoint) -> None:
        self._record(checkpoint.end_segment * SEGMENT_BYTES, checkpoint.counters)

    def _record(self, durable: int, counters: Counters) -> None:
        def work(tx: Tx) -> None:
            blob = self._locked(tx)
            now = tx.now()
            tx.blobs.update(
                replace(
                    blob,
                    committed_bytes=durable,
                    zero_bytes=counters.zero if self._upload is not None else blob.zero_bytes,
                    stored_bytes=(
                        counters.copied if self._upload is not None else blob.stored_bytes
                    ),
                    update_time=now,
                    expire_time=now + UNHELD_FOR,
                    revision=blob.revision + 1,
                )
            )
            if self._room.is_used:
                tx.room.promise(self._holder, self._room.left)

        self._rows.transact(work)
        self._room.settle()
        self._durable = durable

    @property
    def _holder(self) -> Holder:
        return Holder(self.blob.location, self.blob.slot, self.blob.uid)

    def _promise(self, least: int, most: int) -> int:
        def work(tx: Tx) -> int:
            self._locked(tx)
            return promise(tx, self._holder, least, most)

        return self._rows.transact(work)

    def _give_back(self) -> None:
        """Let others have what was promised and not used, unless it is a later stream's by now."""

        def work(tx: Tx) -> None:
            blob = tx.blobs.get(self.blob.uid, lock=True)
            if blob is not None and blob.fence == self.blob.fence:
                tx.room.release(self._holder)

        self._rows.transact(work)

    def _locked(self, tx: Tx) -> Blob:
        return self._mine(tx.blobs.get(self.blob.uid, lock=True))

    def _check_fence(self) -> None:
        self._mine(self._rows.read(lambda tx: tx.blobs.get(self.blob.uid)))

    def _mine(self, blob: Blob | None) -> Blob:
        if blob is None:
            raise blob_errors.not_found(self.blob.name)
        if blob.fence != self.blob.fence:
            raise blob_errors.taken_over(self.blob, blob.committed_bytes)
        return blob

    def _current(self) -> HeldBlob:
        def find(tx: Tx) -> HeldBlob:
            blob = tx.blobs.get(self.blob.uid)
            if blob is None:
                raise blob_errors.not_found(self.blob.name)
            return HeldBlob(blob, tx.blobs.holds([blob.uid]).get(blob.uid, ()))

        return self._rows.read(find)

    def _guarded(self, work: Callable[[], T]) -> T:
        is_good = False
        try:
            found = work()
            is_good = True
            return found
        except Cancelled:
            raise blob_errors.taken_over(self.blob, self._durable) from None
        except NoRoom as error:
            raise blob_errors.no_room(error, self.blob.location) from error
        except DataError as error:
            raise blob_errors.of_store(error, self.blob.location, self.blob.slot) from error
        finally:
            # After an error the upload may hold what is not in its window any more.
            self._is_broken = self._is_broken or not is_good
