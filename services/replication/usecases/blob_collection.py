"""Blobs that nobody holds go after a time, and what they occupied in their slots after them."""

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

from services.replication.content.errors import DataError
from services.replication.content.journal import forget_task
from services.replication.content.refs import remove_blob
from services.replication.domain.blobs import BlobRemoval, blob_task
from services.replication.ports.outside import Stores
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.blobs import take_away

BATCH: Final = 100
_RETRY_BASE: Final = timedelta(minutes=1)
_RETRY_CAP: Final = timedelta(hours=1)

_LOG = logging.getLogger(__name__)


class BlobCollection:
    """Deletes blobs whose time is over, and empties slots of deleted ones; may block."""

    def __init__(self, rows: UnitOfWork, stores: Stores) -> None:
        self._rows: Final = rows
        self._stores: Final = stores

    def collect(self) -> int:
        """Delete blobs that no source has held for as long as they may stay; answer how many."""
        uids = self._rows.read(lambda tx: tx.blobs.expired(tx.now(), BATCH))
        return sum(self._rows.transact(partial(_collect, uid)) for uid in uids)

    def clear(self) -> int:
        """Take what is left of deleted blobs out of their slots; answer how many were done.

        The ref goes: their bytes are then collected with all that no ref names. A slot that does
        not answer is tried again later, one that is gone has nothing left.
        """
        due = self._rows.read(lambda tx: tx.blobs.due_removals(tx.now(), BATCH))
        done = 0
        for removal in due:
            try:
                self._clear(removal)
            except DataError as error:
                _LOG.warning("blob %s is taken out of its slot later: %s", removal.blob, error)
                self._rows.transact(partial(_postpone, removal))
                continue
            self._rows.transact(partial(_finish, removal.blob))
            done += 1
        return done

    def _clear(self, removal: BlobRemoval) -> None:
        region = self._rows.read(lambda tx: tx.regions.get(removal.location))
        slot = region.slot(removal.slot) if region is not None else None
        if slot is None:
            return
        store = self._stores.open(removal.location, slot)
        remove_blob(store, removal.blob)
        forget_task(store, blob_task(removal.blob))


def _collect(uid: str, tx: Tx) -> bool:
    blob = tx.blobs.get(uid, lock=True)
    # A source, or bytes, may have come since the list was read.
    if blob is None or blob.expire_time is None or blob.expire_time > tx.now():
        return False
    take_away(tx, blob)
    return True


def _postpone(removal: BlobRemoval, tx: Tx) -> None:
    wait = min(_RETRY_BASE * 2 ** min(removal.attempts, 10), _RETRY_CAP)
    tx.blobs.put_removal(replace(removal, attempts=removal.attempts + 1, due_time=tx.now() + wait))


def _finish(blob: str, tx: Tx) -> None:
    tx.blobs.finish_removal(blob)
