"""Blobs in the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    cast,
    delete,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.db.listing import after, at_or_below, compare, conditions
from services.kernel.filter import Comparison, Op
from services.replication.domain.blobs import Blob, BlobHold, BlobRemoval
from services.replication.domain.names import location_key
from services.replication.ports.blobs import BlobPage, BlobScope
from services.replication.store import tables
from services.replication.store.records import Records

_BLOBS: Final = Records(tables.blobs, Blob)
_HOLDS: Final = Records(tables.blob_holds, BlobHold)
_REMOVALS: Final = Records(tables.blob_removals, BlobRemoval)
_B: Final = tables.blobs.c
_H: Final = tables.blob_holds.c
_R: Final = tables.blob_removals.c


class BlobTable:
    """Fulfils `ports.blobs.BlobRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def named(self, name_key: str, *, lock: bool = False) -> Blob | None:
        """Answer the blob that has the name now, locked until the transaction ends if asked."""
        statement = _BLOBS.select.where(_B.name_key == name_key)
        return _BLOBS.one(self._connection, statement.with_for_update() if lock else statement)

    def get(self, uid: str, *, lock: bool = False) -> Blob | None:
        """Answer the blob with that uid, locked until the transaction ends if asked."""
        return _BLOBS.get(self._connection, uid, lock=lock)

    def insert(self, blob: Blob) -> bool:
        """Add a blob unless its name is taken; tell whether it was added."""
        return _BLOBS.insert(self._connection, blob)

    def update(self, blob: Blob) -> None:
        """Replace a blob."""
        _BLOBS.update(self._connection, blob)

    def delete(self, uid: str) -> None:
        """Remove a blob with its holds."""
        self._connection.execute(delete(tables.blobs).where(_B.uid == uid))

    def page(self, page: BlobPage) -> Sequence[Blob]:
        """Answer a page of blobs."""
        columns = [_B[name] for name in page.order]
        maps = {"tags": self._tag, "location": _located}
        statement = _BLOBS.select.where(
            *_within(page.scope), *conditions(page.where, dict(_B), maps)
        )
        if page.after is not None:
            directions = (page.descending,) * len(columns)
            statement = statement.where(after(columns, page.after, descending=directions))
        ordered = [column.desc() if page.descending else column for column in columns]
        return _BLOBS.all(self._connection, statement.order_by(*ordered).limit(page.limit))

    def reserved_bytes(self, location: str) -> Mapping[str, int]:
        """Answer, by slot, the bytes that blobs declared and have not brought yet."""
        statement = (
            select(_B.slot, func.sum(_B.size_bytes - _B.committed_bytes))
            .where(_B.location == location, _B.state == "UPLOADING", _B.size_bytes.is_not(None))
            .group_by(_B.slot)
        )
        return {slot: int(total) for slot, total in self._connection.execute(statement)}

    def in_slot(self, location: str, slot: str) -> Sequence[Blob]:
        """Answer the blobs that lie, or are being uploaded, in a slot."""
        statement = _BLOBS.select.where(_B.location == location, _B.slot == slot)
        return _BLOBS.all(self._connection, statement)

    def removals(self, blobs: Collection[str]) -> Sequence[BlobRemoval]:
        """Answer what is still to be taken out of slots of these blobs."""
        return _REMOVALS.all(self._connection, _REMOVALS.select.where(_R.blob.in_(list(blobs))))

    def expired(self, now: datetime, limit: int) -> Sequence[str]:
        """Answer the uids of blobs whose time is over, the longest first."""
        statement = select(_B.uid).where(_B.expire_time <= now)
        found = self._connection.execute(statement.order_by(_B.expire_time).limit(limit))
        return list(found.scalars())

    def holds(self, uids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Answer, by blob, the names of the sources that hold it, the oldest first."""
        found: dict[str, tuple[str, ...]] = {}
        if uids:
            statement = select(_H.blob, _H.source).where(_H.blob.in_(list(uids)))
            ordered = statement.order_by(_H.blob, _H.create_time, _H.source_uid)
            for blob, source in self._connection.execute(ordered):
                found[blob] = (*found.get(blob, ()), source)
        return found

    def add_hold(self, hold: BlobHold) -> bool:
        """Record that a source holds a blob; tell whether that is new."""
        return _HOLDS.insert(self._connection, hold)

    def remove_hold(self, blob: str, source_uid: str) -> bool:
        """Record that a source holds a blob no more; tell whether it did."""
        statement = delete(tables.blob_holds).where(_H.blob == blob, _H.source_uid == source_uid)
        return self._connection.execute(statement).rowcount == 1

    def add_removal(self, removal: BlobRemoval) -> None:
        """Remember what is to be taken out of a slot."""
        _REMOVALS.put(self._connection, removal)

    def due_removals(self, now: datetime, limit: int) -> Sequence[BlobRemoval]:
        """Answer what is to be taken out of slots now."""
        statement = _REMOVALS.select.where(_R.due_time <= now).order_by(_R.due_time)
        return _REMOVALS.all(self._connection, statement.limit(limit))

    def put_removal(self, removal: BlobRemoval) -> None:
        """Replace a removal that is still to be done."""
        _REMOVALS.update(self._connection, removal)

    def finish_removal(self, blob: str) -> None:
        """Forget a removal that is done."""
        self._connection.execute(delete(tables.blob_removals).where(_R.blob == blob))

    def _tag(self, one: Comparison) -> ColumnElement[bool]:
        column: ColumnElement[Any] = cast(_B.tags, Text)
        value: ColumnElement[Any]
        if self._connection.dialect.name == "sqlite":
            quoted = one.map_key.replace("\\", "\\\\").replace('"', '\\"')
            value = func.json_extract(column, f'$."{quoted}"')
        else:
            value = cast(column, JSONB).op("->>", return_type=Text())(literal(one.map_key))
        if one.op is Op.HAS and one.value == "":
            return value.is_not(None)
        return compare(value, one)


def _within(scope: BlobScope) -> list[ColumnElement[bool]]:
    if scope.parent_key:
        return [_B.parent_key == scope.parent_key]
    key = _B.name_key
    return [
        _B.subscription_key == scope.subscription_key,
        or_(literal(False), *(at_or_below(key, one) for one in scope.allowed)),
        *(not_(at_or_below(key, one)) for one in scope.denied),
        *(key != one for one in scope.denied_here),
    ]


def _located(one: Comparison) -> ColumnElement[bool]:
    return compare(_B.location, Comparison(one.field, one.op, location_key(str(one.value))))
