"""Reads for answers: one statement for a Get, one for a page of a list, nothing parsed or built.

A list goes on after the key values of the last row of the page before, so that a page costs what
it holds, wherever it lies (performance.md, section 2d).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    bindparam,
    exists,
    func,
    literal,
    select,
)

from services.catalog.domain.region import location_key
from services.catalog.ports.reading import ListQuery, Stored, Visible, above_wildcards
from services.catalog.store.json_columns import document_text
from services.catalog.store.visible import (
    LIMIT,
    Range,
    after_position,
    seen_page,
    visible_ranges,
)
from services.catalog.store.visible import parameters as ranges_told
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

    `filters` and `orders` are the columns of the fields that a list takes; `by_name` is what the
    order of names is, below one parent and across all: the key, or what `ordered` makes of it.
    `depth` is the number of ids in a key. `shown` is the condition of rows that are listed unless
    deleted ones are asked for.
    """

    table: Table
    filters: Columns
    orders: Columns
    by_name: ColumnElement[Any]
    depth: int
    shown: ColumnElement[bool] | None = None
    special: Mapping[str, Callable[[Comparison], ColumnElement[bool]]] | None = None
    ordered: Callable[[str], str] = str


class TableReader:
    """Reads one kind of resource."""

    def __init__(self, db: Database, spec: ListSpec) -> None:
        t = spec.table.c
        self._db: Final = db
        self._spec: Final = spec
        self._dialect: Final = db.dialect
        self._get: Final = db.prepare(self.selected().where(t.key == bindparam("k")))
        self._exists: Final = select(exists().where(t.key == bindparam("k")))
        self._first: Final = (
            self._page_of(spec.by_name)
            .where(spec.by_name > bindparam("low"), spec.by_name < bindparam("high"))
            .limit(bindparam(LIMIT))
        )

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
        columns, descending = self._order(query.order)
        parameters: dict[str, Any] = {LIMIT: query.limit}
        if query.visible is not None:
            ranges = self._ranges(query, columns, descending)
            if not ranges:
                return ()
            parameters |= ranges_told(ranges, descending=descending[0])
            statement = seen_page(
                self.selected(),
                self._narrowed(query, columns, descending),
                columns,
                position=self._spec.by_name,
                key=self._spec.table.c.key,
                descending=descending,
                dialect=self._dialect,
            )
        elif self._is_plain(query):
            statement = self._first
            parameters |= dict(zip(("low", "high"), self._names_below(query), strict=True))
        else:
            ordered = [
                column.desc() if down else column
                for column, down in zip(columns, descending, strict=True)
            ]
            statement = self._narrowed(query, columns, descending).add_columns(*columns)
            statement = statement.order_by(*ordered).limit(bindparam(LIMIT))
        rows = self._db.read(lambda c: c.execute(statement, parameters).all())
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
            query.parent.has_wildcard or query.comparisons or query.order or query.show_deleted
        )

    def _page_of(self, column: ColumnElement[Any]) -> Select[Any]:
        statement = self.selected().add_columns(column).order_by(column)
        return statement if self._spec.shown is None else statement.where(self._spec.shown)

    def _ranges(
        self, query: ListQuery, columns: Sequence[ColumnElement[Any]], descending: Sequence[bool]
    ) -> Sequence[Range]:
        """Answer where the rows that the caller may see lie, from the page on."""
        spec = self._spec
        visible = query.visible or Visible(())
        ranges = visible_ranges(visible, depth=spec.depth, ordered=spec.ordered)
        if query.after is None or columns[0] is not spec.by_name:
            return ranges
        return after_position(ranges, query.after[0], descending=descending[0])

    def _narrowed(
        self, query: ListQuery, columns: Sequence[ColumnElement[Any]], descending: Sequence[bool]
    ) -> Select[Any]:
        """Answer what is selected, with all conditions of a query but what its caller may see."""
        spec = self._spec
        t = spec.table.c
        statement = self.selected().where(*self._conditions(query.comparisons))
        if spec.shown is not None and not query.show_deleted:
            statement = statement.where(spec.shown)
        if columns[0] is spec.by_name and not query.parent.has_wildcard:
            low, high = self._names_below(query, descending=descending[0])
            return statement.where(spec.by_name > low, spec.by_name < high)
        if query.visible is not None:
            statement = statement.where(*below_wildcards(t.parent_key, query.parent))
        else:
            statement = statement.where(*within(t.parent_key, query.parent))
        if query.after is not None:
            values = [restored(c, v) for c, v in zip(columns, query.after, strict=True)]
            statement = statement.where(after(columns, values, descending=descending))
        return statement

    @staticmethod
    def _names_below(query: ListQuery, *, descending: bool = False) -> tuple[str, str]:
        """Answer between which texts the names of one parent lie, from the page on.

        Both are excluded. A database begins at the bounds of a range, so that a page at the end
        costs what the first one does.
        """
        # "0" is the character after "/".
        low, high = f"{query.parent.key}/", f"{query.parent.key}0"
        if query.after is None:
            return low, high
        return (low, query.after[0]) if descending else (query.after[0], high)

    def _order(self, orders: Sequence[Order]) -> tuple[list[ColumnElement[Any]], list[bool]]:
        columns: list[ColumnElement[Any]] = []
        descending: list[bool] = []
        for order in orders or (Order(_NAME),):
            if order.field == _NAME:
                found = self._spec.by_name
            else:
                column = self._spec.orders[order.field]
                found = _dated(column) if isinstance(column.type, UtcTime) else column
            columns.append(found)
            descending.append(order.descending)
            if order.field == _NAME:
                # Nothing is left to be ordered.
                return columns, descending
        columns.append(self._spec.table.c.key)
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
    return [
        at_or_below(parent_key, above_wildcards(parent)),
        *below_wildcards(parent_key, parent),
    ]


def below_wildcards(parent_key: ColumnElement[Any], parent: Name) -> list[ColumnElement[bool]]:
    """Answer the conditions that a row has the ids that a parent names after a `-`."""
    segments = parent.key.split("/")
    first = segments.index(WILDCARD)
    if set(segments[first::2]) == {WILDCARD}:
        return []
    # An id holds no slash, and all keys of a table have the same collections in the same
    # places, so that `%` cannot stand for more than one id where what follows still fits.
    pattern = "/".join("%" if one == WILDCARD else _escaped(one) for one in segments)
    return [parent_key.like(pattern, escape="\\")]


def tag_condition(column: ColumnElement[Any], one: Comparison, dialect: str) -> ColumnElement[bool]:
    """Answer the condition on the value of a tag, or on its being there."""
    value = document_text(column, (one.map_key,), dialect)
    if one.op is Op.HAS and one.value == "":
        return value.is_not(None)
    return compare(value, Comparison(one.field, one.op, one.value))


def _named(table: Table, one: Comparison) -> ColumnElement[bool]:
    if one.op is Op.HAS:
        return compare(table.c.name, one)
    return compare(table.c.key, Comparison(one.field, one.op, key(str(one.value))))


def _located(table: Table, one: Comparison) -> ColumnElement[bool]:
    return compare(table.c.location, Comparison(one.field, one.op, location_key(str(one.value))))


def _dated(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Answer a time that every row has; a column that every row has is left to its index."""
    if isinstance(column, Column) and not column.nullable:
        return column
    return func.coalesce(column, literal(NEVER, column.type))


def stored(value: Any) -> Any:
    """Answer a value of an order as a page token holds it."""
    return to_microseconds(value) if isinstance(value, datetime) else value


def restored(column: ColumnElement[Any], value: Any) -> Any:
    """Answer a value of a page token as a column is compared with it."""
    return from_microseconds(value) if isinstance(column.type, UtcTime) else value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
