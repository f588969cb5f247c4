"""The bytes of blobs: streams that are resumed, taken over and committed.

What is durable is told by the journals in the slot; the row follows them, so that a kill between
the two loses nothing. Of two streams the later one writes: it raises the fence of the row, which
the older one compares before each window and before each commit.
"""

from dataclasses import replace
from typing import Final

from services.kernel.names import Name
from services.replication.content.errors import DataError
from services.replication.content.progress import CopyOptions
from services.replication.content.refs import BlobRef, read_blob
from services.replication.content.store import Store
from services.replication.domain.blobs import (
    Blob,
)
from services.replication.ports.outside import Stores
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases import blob_errors
from services.replication.usecases.upload_session import UploadSession


class BlobUploads:
    """Opens streams into blobs; everything may block."""

    def __init__(self, rows: UnitOfWork, stores: Stores, options: CopyOptions) -> None:
        self._rows: Final = rows
        self._stores: Final = stores
        self._options: Final = options

    def admit(self, name: Name, blob_uid: str) -> Blob:
        """Answer the blob that a stream is for, and stop older streams from writing to it.

        Raises:
            NotFound: there is no such blob, or the name belongs to another one now.
        """

        def work(tx: Tx) -> Blob:
            blob = tx.blobs.named(name.key, lock=True)
            if blob is None or (blob_uid and blob.uid != blob_uid):
                raise blob_errors.not_found(name.text)
            if not blob.is_committed:
                blob = replace(blob, fence=blob.fence + 1)
                tx.blobs.update(blob)
            return blob

        return self._rows.transact(work)

    def begin(self, blob: Blob, offset: int) -> UploadSession:
        """Go on with an admitted blob at `offset`.

        Raises:
            Aborted: UPLOAD_OFFSET_MISMATCH; UPLOAD_TAKEN_OVER by a later stream.
            FailedPrecondition: BLOB_COMMITTED.
            StoaError: of the store.
        """
        if blob.is_committed:
            if offset != blob.size_bytes:
                raise blob_errors.committed(blob)
            ref = BlobRef(blob.uid, blob.tenant, bytes.fromhex(blob.root), offset)
            return UploadSession(self._rows, blob, self._store(blob), ref=ref)
        session = None
        try:
            store = self._store(blob)
            ref_found = read_blob(store, blob.uid)
            session = UploadSession(self._rows, blob, store, ref=ref_found, options=self._options)
            session.reconcile(offset)
        except BaseException as error:
            if session is not None:
                session.close()
            if isinstance(error, DataError):
                raise blob_errors.of_store(error, blob.location, blob.slot) from error
            raise
        return session

    def _store(self, blob: Blob) -> Store:
        region = self._rows.read(lambda tx: tx.regions.get(blob.location))
        slot = region.slot(blob.slot) if region is not None else None
        if region is None or slot is None:
            raise blob_errors.no_slot(blob.location, full=False, needed=0)
        try:
            store = self._stores.open(region.id, slot)
        except DataError as error:
            raise blob_errors.of_store(error, blob.location, blob.slot) from error
        limit = region.limits.bandwidth_bytes_per_second if region.limits is not None else None
        return self._stores.limited(store, region.id, limit)
