"""Room in regions, promised to what is being written: fulfils `ports.room.RoomRows`."""

from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from services.replication.ports.room import Holder
from services.replication.store import tables

_T: Final = tables.promised_room.c
_KEY: Final = ("location", "slot", "owner", "disk")


class RoomTable:
    """The promises of all processes."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def promised(self, holder: Holder) -> int:
        """Answer the bytes that a holder is promised."""
        statement = select(_T.bytes).where(*_is(holder), _T.disk == holder.disk)
        return self._connection.execute(statement).scalar_one_or_none() or 0

    def occupied(self, location: str) -> int:
        """Answer the bytes that are stored in a region or promised."""
        found = 0
        for table, column in (
            (tables.replica_disks, "stored_bytes"),
            (tables.blobs, "stored_bytes"),
            (tables.promised_room, "bytes"),
        ):
            statement = select(func.sum(table.c[column])).where(table.c.location == location)
            found += int(self._connection.execute(statement).scalar_one_or_none() or 0)
        return found

    def promise(self, holder: Holder, length: int) -> None:
        """Promise so many bytes instead of what was promised before."""
        insert = sqlite.insert if self._connection.dialect.name == "sqlite" else postgresql.insert
        statement = (
            insert(tables.promised_room)
            .values(
                location=holder.location,
                slot=holder.slot,
                owner=holder.owner,
                disk=holder.disk,
                bytes=length,
            )
            .on_conflict_do_update(index_elements=_KEY, set_={"bytes": length})
        )
        self._connection.execute(statement)

    def release(self, holder: Holder) -> None:
        """Forget all promises to an owner in a slot, whatever the disk."""
        self._connection.execute(delete(tables.promised_room).where(*_is(holder)))


def _is(holder: Holder) -> tuple[ColumnElement[bool], ...]:
    return (_T.location == holder.location, _T.slot == holder.slot, _T.owner == holder.owner)
