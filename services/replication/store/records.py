"""Records of one table: the statements that every table needs."""

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.kernel.db.listing import after, conditions
from services.replication.ports.requests import Listing
from services.replication.store.codec import from_row, to_values

T = TypeVar("T")


class Records(Generic[T]):
    """Reads and writes the records of a table by its primary key."""

    def __init__(self, table: Table, cls: type[T]) -> None:
        self.table: Final = table
        self._cls: Final = cls
        self._key: Final = tuple(column.name for column in table.primary_key.columns)
        self._names: Final = tuple(cls.__dataclass_fields__)  # type: ignore[attr-defined]
        self.columns: Final = [table.c[name] for name in self._names]
        self.select: Final = select(*self.columns)

    def get(self, connection: Connection, *key: str, lock: bool = False) -> T | None:
        """Answer the record with that key, locked until the transaction ends if asked."""
        statement = self.select.where(self._is(key))
        return self.one(connection, statement.with_for_update() if lock else statement)

    def one(self, connection: Connection, statement: Select[Any]) -> T | None:
        """Answer the first record of a statement."""
        row = connection.execute(statement).first()
        return None if row is None else from_row(self._cls, row)

    def all(self, connection: Connection, statement: Select[Any]) -> list[T]:
        """Answer the records of a statement."""
        return [from_row(self._cls, row) for row in connection.execute(statement)]

    def page(
        self, connection: Connection, listing: Listing, *more: ColumnElement[bool]
    ) -> Sequence[T]:
        """Answer a page of a list."""
        columns = [self.table.c[name] for name in listing.order]
        statement = self.select.where(*more, *conditions(listing.where, dict(self.table.c)))
        if listing.prefix:
            # "0" is the character after "/", with which every prefix ends.
            key = self.table.c.name_key
            statement = statement.where(key >= listing.prefix, key < f"{listing.prefix[:-1]}0")
        if listing.after is not None:
            directions = (listing.descending,) * len(columns)
            statement = statement.where(after(columns, listing.after, descending=directions))
        ordered = [column.desc() if listing.descending else column for column in columns]
        return self.all(connection, statement.order_by(*ordered).limit(listing.limit))

    def insert(self, connection: Connection, record: T) -> bool:
        """Add a record unless its key is taken; tell whether it was added."""
        insert = _insert(connection)(self.table).values(to_values(self.table, record))
        # Of an INSERT the count is otherwise gone with the cursor.
        statement = insert.on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        return connection.execute(statement).rowcount == 1

    def put(self, connection: Connection, record: T) -> None:
        """Add or replace a record."""
        values = to_values(self.table, record)
        changed = {name: value for name, value in values.items() if name not in self._key}
        insert = _insert(connection)(self.table).values(values)
        connection.execute(
            insert.on_conflict_do_update(index_elements=list(self._key), set_=changed)
        )

    def update(self, connection: Connection, record: T) -> bool:
        """Replace a record; tell whether it was there."""
        values = to_values(self.table, record)
        key = [values.pop(name) for name in self._key]
        statement = update(self.table).where(self._is(key)).values(values)
        return connection.execute(statement).rowcount == 1

    def _is(self, key: Sequence[str]) -> ColumnElement[bool]:
        return and_(
            *(self.table.c[name] == value for name, value in zip(self._key, key, strict=True))
        )


def _insert(connection: Connection) -> Any:
    return sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
