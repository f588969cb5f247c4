"""SQL of lists: keyset pages and the conditions of a filter.

Never OFFSET and never COUNT: a page costs what it holds, wherever it lies (performance.md,
section 2d).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from sqlalchemy import ColumnElement, and_, func, literal, or_, true, tuple_

from services.kernel.filter import Comparison, FilterValue, Op
from services.kernel.names import ROOT

MapCondition = Callable[[Comparison], ColumnElement[bool]]


def after(
    columns: Sequence[ColumnElement[Any]],
    values: Sequence[Any],
    *,
    descending: Sequence[bool] = (),
) -> ColumnElement[bool]:
    """Answer the condition that a row comes after the one whose key values these are.

    The columns are those of the ORDER BY, in its order, and the last makes rows unique.
    Where all run one way it is one comparison of rows, which both databases answer from
    an index; `descending` says for each column which way it runs.
    """
    directions = tuple(descending) or (False,) * len(columns)
    bound = [literal(value, one.type) for one, value in zip(columns, values, strict=True)]
    if len(set(directions)) == 1:
        row, last = tuple_(*columns), tuple_(*bound)
        return row < last if directions[0] else row > last
    # A mixed order: equal up to some column, and beyond in that one.
    return or_(
        *(
            and_(
                *(one == value for one, value in zip(columns[:i], bound[:i], strict=True)),
                columns[i] < bound[i] if directions[i] else columns[i] > bound[i],
            )
            for i in range(len(columns))
        )
    )


def at_or_below(column: ColumnElement[Any], scope: str) -> ColumnElement[bool]:
    """Answer the condition that a key is that of a scope or of something below it.

    `column` is a `KeyText`: what lies below is then one range of its index.
    """
    if scope == ROOT:
        return true()
    # "0" is the character after "/".
    return or_(column == scope, and_(column >= f"{scope}/", column < f"{scope}0"))


def conditions(
    comparisons: Sequence[Comparison],
    columns: Mapping[str, ColumnElement[Any]],
    maps: Mapping[str, MapCondition] | None = None,
) -> list[ColumnElement[bool]]:
    """Answer the conditions of a parsed filter, given the column of each field.

    A field that is a map has no column: `maps` holds what makes its condition.
    """
    return [
        maps[one.field](one) if maps and one.field in maps else compare(columns[one.field], one)
        for one in comparisons
    ]


def compare(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    """Answer the condition of one comparison with a column.

    `!=` holds for rows without a value too; `:` finds a part of a string without case.
    """
    value: FilterValue = comparison.value
    match comparison.op:
        case Op.EQ:
            return column == value
        case Op.NE:
            return column.is_distinct_from(value)
        case Op.LT:
            return column < value
        case Op.LE:
            return column <= value
        case Op.GT:
            return column > value
        case Op.GE:
            return column >= value
        case Op.HAS:
            return func.lower(column).contains(str(value).lower(), autoescape=True)
        case _:
            assert_never(comparison.op)
