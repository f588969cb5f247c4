"""Blobs as sources of replications."""

from typing import Any, Final

from sqlalchemy import select

from services.kernel.db.engine import Database
from services.replication.ports.outside import BlobContent
from services.replication.store import tables

_B: Final = tables.blobs.c


class BlobSourceTable:
    """Fulfils `ports.outside.BlobSources`."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db

    def by_uid(self, uid: str) -> BlobContent | None:
        """Answer a blob."""
        return self._one(_B.uid == uid)

    def named(self, name_key: str) -> BlobContent | None:
        """Answer the blob that has the name now."""
        return self._one(_B.name_key == name_key)

    def _one(self, condition: Any) -> BlobContent | None:
        statement = select(tables.blobs).where(condition)
        row = self._db.read(lambda connection: connection.execute(statement).first())
        if row is None:
            return None
        committed = row.state == "COMMITTED"
        return BlobContent(
            name=row.name,
            uid=row.uid,
            location=row.location,
            slot=row.slot,
            tenant=row.tenant,
            format=row.format,
            committed=committed,
            root=row.root,
            size_bytes=row.size_bytes or row.committed_bytes,
            file_bytes=row.committed_bytes,
        )
