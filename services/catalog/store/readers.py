"""Reads for answers: one statement for a Get, one for a page of a list, nothing parsed or built.

A list goes on after the key values of the last row of the page before, so that a page costs what
it holds, wherever it lies (performance.md, section 2d).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.catalog.domain.region import location_key
from services.catalog.ports.reading import ListQuery, Stored
from services.kernel.db.engine import Database
from services.kernel.db.listing import after, at_or_below, compare, conditions
from services.kernel.db.tables import UtcTime, from_microseconds, to_microseconds
from services.kernel.filter import Comparison, Op, Order
from services.kernel.names import WILDCARD, Name, key

Columns = Mapping[str, ColumnElement[Any]]

_NAME: Final = "name"
# Rows without a value come last, in either direction of reading the table.
NEVER: Final = datetime.max.replace(microsecond=0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListSpec:
    """How one kind is listed.

    `filters` and `orders` are the columns of the fields that a list takes; `by_name` what the
    order of names is, below one parent. `shown` is the condition of rows that are listed unless
    deleted ones are asked for.
    """

    table: Table
    filters: Columns
    orders: Columns
    by_name: Sequence[ColumnElement[Any]]
    shown: ColumnElement[bool] | None = None
    special: Mapping[str, Callable[[Comparison], ColumnElement[bool]]] | None = None


class TableReader:
    """Reads one kind of resource."""

    def __init__(self, db: Database, spec: ListSpec) -> None:
        t = spec.table.c
        self._db: Final = db
        self._spec: Final = spec
        self._dialect: Final = db.dialect
        self._get: Final = db.prepare(self.selected().where(t.key == bindparam("k")))
        self._exists: Final = select(exists().where(t.key == bindparam("k")))
        self._first: Final = self._page_of(spec.by_name).where(t.parent_key == bindparam("p"))

    def selected(self) -> Select[Any]:
        """Answer the columns of an answer: key, policy revision, then what `body` reads."""
        t = self._spec.table.c
        return select(t.key, t.policy_revision, t.body)

    def body(self, row: Any, view: str) -> bytes:
        """Answer the message of a row."""
        found: bytes = row[2]
        return found

    def get(self, key: str, view: str = "") -> Stored | None:
        """Answer one, by one statement."""
        row = self._db.first(self._get, {"k": key})
        return None if row is None else Stored(row[0], self.body(row, view), row[1])

    def exists(self, key: str) -> bool:
        """Whether there is one of this key."""
        return bool(self._db.read(lambda c: c.execute(self._exists, {"k": key}).scalar_one()))

    def page(self, query: ListQuery) -> Sequence[Stored]:
        """Answer at most `query.limit` rows in the order that is asked for, by one statement."""
        columns, descending = self._order(query.order, below_one=not query.parent.has_wildcard)
        if self._is_plain(query):
            parameters = {"p": query.parent.key, "n": query.limit}
            rows = self._db.read(lambda c: c.execute(self._first, parameters).all())
        else:
            statement = self._statement(query, columns, descending)
            rows = self._db.read(lambda c: c.execute(statement, {"n": query.limit}).all())
        width = len(columns)
        return [
            Stored(
                row[0],
                self.body(row, query.view),
                row[1],
                tuple(stored(value) for value in row[-width:]),
            )
            for row in rows
        ]

    def _is_plain(self, query: ListQuery) -> bool:
        return not (
            query.parent.has_wildcard
            or query.comparisons
            or query.order
            or query.after
            or query.visible
            or query.show_deleted
        )

    def _page_of(self, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
        statement = self.selected().add_columns(*columns).order_by(*columns)
        if self._spec.shown is not None:
            statement = statement.where(self._spec.shown)
        return statement.limit(bindparam("n"))

    def _statement(
        self, query: ListQuery, columns: Sequence[ColumnElement[Any]], descending: Sequence[bool]
    ) -> Select[Any]:
        spec = self._spec
        ordered = [
            column.desc() if down else column
            for column, down in zip(columns, descending, strict=True)
        ]
        statement = self.selected().add_columns(*columns).order_by(*ordered)
        statement = statement.where(
            *within(spec.table.c.parent_key, query.parent),
            *self._conditions(query.comparisons),
        )
        if spec.shown is not None and not query.show_deleted:
            statement = statement.where(spec.shown)
        if query.visible is not None:
            statement = statement.where(
                or_(*(at_or_below(spec.table.c.key, one) for one in query.visible.allowed)),
                *(not_(at_or_below(spec.table.c.key, one)) for one in query.visible.denied),
            )
        if query.after is not None:
            values = [restored(c, v) for c, v in zip(columns, query.after, strict=True)]
            statement = statement.where(after(columns, values, descending=descending))
        return statement.limit(bindparam("n"))

    def _order(
        self, orders: Sequence[Order], *, below_one: bool
    ) -> tuple[list[ColumnElement[Any]], list[bool]]:
        t = self._spec.table.c
        columns: list[ColumnElement[Any]] = []
        descending: list[bool] = []
        for order in orders or (Order(_NAME),):
            if order.field == _NAME:
                found = list(self._spec.by_name)
                # Across parents a number means nothing without its definition.
                if not below_one and len(found) > 1:
                    found.insert(0, t.parent_key)
            else:
                column = self._spec.orders[order.field]
                is_time = isinstance(column.type, UtcTime)
                found = [func.coalesce(column, _never(column)) if is_time else column]
            columns += found
            descending += [order.descending] * len(found)
        if columns[-1] is not t.key:
            columns.append(t.key)
            descending.append(descending[-1])
        return columns, descending

    def _conditions(self, comparisons: Sequence[Comparison]) -> list[ColumnElement[bool]]:
        special = {
            _NAME: lambda one: _named(self._spec.table, one),
            "location": lambda one: _located(self._spec.table, one),
            "tags": lambda one: tag_condition(self._spec.table.c.tags, one, self._dialect),
            **(self._spec.special or {}),
        }
        return conditions(comparisons, self._spec.filters, special)


def within(parent_key: ColumnElement[Any], parent: Name) -> list[ColumnElement[bool]]:
    """Answer the conditions that a row lies below a parent whose ids may be `-`."""
    if not parent.has_wildcard:
        return [parent_key == parent.key]
    segments = parent.key.split("/")
    first = segments.index(WILDCARD)
    found: list[ColumnElement[bool]] = []
    if first > 1:
        found.append(at_or_below(parent_key, "/".join(segments[: first - 1])))
    # An id holds no slash, and all keys of a table have the same collections in the same
    # places, so that `%` cannot stand for more than one id where what follows still fits.
    pattern = "/".join("%" if one == WILDCARD else _escaped(one) for one in segments)
    found.append(parent_key.like(pattern, escape="\\"))
    return found


def tag_condition(column: ColumnElement[Any], one: Comparison, dialect: str) -> ColumnElement[bool]:
    """Answer the condition on the value of a tag, or on its being there."""
    value = tag_value(column, one.map_key, dialect)
    if one.op is Op.HAS and one.value == "":
        return value.is_not(None)
    return compare(value, Comparison(one.field, one.op, one.value))


def tag_value(column: ColumnElement[Any], tag: str, dialect: str) -> ColumnElement[Any]:
    """Answer the value of a tag, NULL where it is not there."""
    if dialect == "sqlite":
        quoted = tag.replace("\\", "\\\\").replace('"', '\\"')
        return func.json_extract(cast(column, Text), f'$."{quoted}"')
    return cast(cast(column, Text), JSONB).op("->>", return_type=Text())(literal(tag))


def _named(table: Table, one: Comparison) -> ColumnElement[bool]:
    if one.op is Op.HAS:
        return compare(table.c.name, one)
    return compare(table.c.key, Comparison(one.field, one.op, key(str(one.value))))


def _located(table: Table, one: Comparison) -> ColumnElement[bool]:
    return compare(table.c.location, Comparison(one.field, one.op, location_key(str(one.value))))


def _never(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return literal(NEVER, column.type)


def stored(value: Any) -> Any:
    """Answer a value of an order as a page token holds it."""
    return to_microseconds(value) if isinstance(value, datetime) else value


def restored(column: ColumnElement[Any], value: Any) -> Any:
    """Answer a value of a page token as a column is compared with it."""
    return from_microseconds(value) if isinstance(column.type, UtcTime) else value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
