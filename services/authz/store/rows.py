"""Rows that hold one record each, found by key."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, insert, select
from sqlalchemy import update as sql_update

R = TypeVar("R")

_FETCHED: Final = 1000


class Records(Generic[R]):
    """How the records of a class lie in a table: their fields, and what is derived from them.

    `derived` answers the columns by which rows are found, at least `key`.
    """

    def __init__(
        self, table: Table, of: type[R], derived: Callable[[R], Mapping[str, Any]]
    ) -> None:
        self.table: Final = table
        self.of: Final = of
        self._derived: Final = derived
        self._fields: Final = tuple(one.name for one in dataclasses.fields(of))  # type: ignore[arg-type]
        self._columns: Final = tuple(table.c[name] for name in self._fields)

    def select(self) -> Select[Any]:
        """Begin a SELECT of whole records."""
        return select(*self._columns)

    def values(self, record: R) -> dict[str, Any]:
        """Answer the columns of a record."""
        return {name: getattr(record, name) for name in self._fields} | dict(self._derived(record))

    def record(self, row: Any) -> R:
        """Answer the record of a row that `select` gave."""
        return self.of(**dict(zip(self._fields, row, strict=True)))


class Rows(Generic[R]):
    """The rows of a table on one connection."""

    __slots__ = ("_connection", "_records")

    def __init__(self, connection: Connection, records: Records[R]) -> None:
        self._connection: Final = connection
        self._records: Final = records

    def get(self, key: str, *, lock: bool = False) -> R | None:
        """Answer the record with this key, locked until the transaction ends if so asked."""
        statement = self._records.select().where(self._records.table.c.key == key)
        if lock:
            statement = statement.with_for_update()
        row = self._connection.execute(statement).first()
        return None if row is None else self._records.record(row)

    def first(self, *where: ColumnElement[bool]) -> R | None:
        """Answer a record for which the conditions hold."""
        row = self._connection.execute(self._records.select().where(*where).limit(1)).first()
        return None if row is None else self._records.record(row)

    def all(self, *where: ColumnElement[bool]) -> list[R]:
        """Answer every record for which the conditions hold, in the order of keys."""
        statement = self._records.select().where(*where).order_by(self._records.table.c.key)
        return [self._records.record(row) for row in self._connection.execute(statement)]

    def each(self) -> Iterator[R]:
        """Answer all records in the order of keys, some at a time."""
        t = self._records.table.c
        after = ""
        while True:
            statement = select(t.key, *self._records.select().selected_columns)
            page = self._connection.execute(
                statement.where(t.key > after).order_by(t.key).limit(_FETCHED)
            ).all()
            for row in page:
                yield self._records.record(tuple(row)[1:])
            if len(page) < _FETCHED:
                return
            after = page[-1][0]

    def count(self, *where: ColumnElement[bool]) -> int:
        """Answer for how many records the conditions hold."""
        statement = select(func.count()).select_from(self._records.table).where(*where)
        return int(self._connection.execute(statement).scalar_one())

    def put(self, record: R) -> None:
        """Write a record over the one with its key, or anew."""
        values = self._records.values(record)
        table = self._records.table
        done = self._connection.execute(
            sql_update(table).where(table.c.key == values["key"]).values(values)
        )
        if not done.rowcount:
            self._connection.execute(insert(table).values(values))

    def remove(self, key: str) -> None:
        """Delete the row with this key."""
        table = self._records.table
        self._connection.execute(delete(table).where(table.c.key == key))
