"""Pages of records, by key set."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, or_, select

from services.authz.ports.policy import Page
from services.authz.store.json_value import JsonValue
from services.authz.store.rows import Records
from services.authz.store.tables import DENY_PRINCIPALS
from services.kernel.db.listing import after, at_or_below, compare
from services.kernel.db.tables import UtcTime, from_microseconds, to_microseconds
from services.kernel.filter import Comparison, Op
from services.kernel.names import key
from services.kernel.paging import KeyValue

R = TypeVar("R")

# Fields that hold names are compared by key, in the column that has it.
_KEYS: Final = {
    "parent_management_group": "parent_key",
    "tenant": "tenant_key",
    "principal": "principal_key",
    "role_definition": "role_key",
    "user_principal_name": "upn_key",
}
_RENAMED: Final = {
    "account_enabled": "enabled",
    "external_identity.issuer": "issuer",
    "external_identity.subject": "subject",
    "principal_type": "principal_kind",
}


def page_of(
    connection: Connection, records: Records[R], page: Page
) -> list[tuple[R, tuple[KeyValue, ...]]]:
    """Answer the records of a page with the key values that the next one follows after."""
    columns, descending = _order(records.table, page)
    statement = select(*columns, *records.select().selected_columns)
    for name, value in page.within:
        statement = statement.where(records.table.c[name] == value)
    for name, values in page.among:
        statement = statement.where(records.table.c[name].in_(values))
    if page.below:
        scope = records.table.c.scope_key
        statement = statement.where(or_(*(at_or_below(scope, one) for one in page.below)))
    for comparison in page.filters:
        statement = statement.where(condition(records.table, comparison))
    if page.after is not None:
        statement = statement.where(
            after(columns, _bound(columns, page.after), descending=descending)
        )
    directions = zip(columns, descending, strict=True)
    statement = statement.order_by(*(c.desc() if down else c for c, down in directions))
    rows = connection.execute(statement.limit(page.limit)).all()
    return [
        (records.record(tuple(row)[len(columns) :]), _values(tuple(row)[: len(columns)]))
        for row in rows
    ]


def condition(table: Table, comparison: Comparison) -> ColumnElement[bool]:
    """Answer the condition of one comparison of a filter."""
    if comparison.map_key:
        return _of_map(table.c[comparison.field], comparison)
    if comparison.field in {"principals", "exclude_principals"}:
        return _names(table, comparison)
    name = _KEYS.get(comparison.field)
    if name is not None and name in table.c:
        folded = Comparison(comparison.field, comparison.op, key(str(comparison.value)))
        return compare(table.c[name], folded)
    return compare(table.c[_RENAMED.get(comparison.field, comparison.field)], comparison)


def _names(table: Table, comparison: Comparison) -> ColumnElement[bool]:
    c = DENY_PRINCIPALS.c
    named = select(c.deny_key).where(
        c.principal_key == key(str(comparison.value)),
        c.excluded.is_(comparison.field == "exclude_principals"),
    )
    return table.c.key.in_(named)


def _of_map(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    value = JsonValue(column, comparison.map_key)
    if comparison.op is Op.HAS and not comparison.value:
        return value.is_not(None)
    return compare(value, comparison)


def _order(table: Table, page: Page) -> tuple[list[ColumnElement[Any]], list[bool]]:
    columns: list[ColumnElement[Any]] = []
    descending: list[bool] = []
    for order in page.orders:
        column = table.c["key" if order.field == "name" else order.field]
        columns.append(column)
        descending.append(order.descending)
    if not any(column is table.c.key for column in columns):
        columns.append(table.c.key)
        descending.append(descending[-1] if descending else False)
    return columns, descending


def _values(values: tuple[Any, ...]) -> tuple[KeyValue, ...]:
    return tuple(to_microseconds(one) if isinstance(one, datetime) else one for one in values)


def _bound(columns: Sequence[ColumnElement[Any]], values: Sequence[KeyValue]) -> list[Any]:
    return [
        from_microseconds(int(value)) if isinstance(column.type, UtcTime) else value
        for column, value in zip(columns, values, strict=True)
    ]
