"""Lists of what a caller may see: the scopes of the policy as one statement.

What is seen is a set of ranges of names, in their order. A list in that order stops at the range
in which its page is full, so that neither the number of scopes nor what lies in them makes a page
dear; in any other order each range answers its own first rows, and the best of them are the page.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    Text,
    bindparam,
    cast,
    collate,
    func,
    literal,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.catalog.ports.reading import Visible
from services.kernel.db.tables import KeyText

Range = tuple[str, str]
"""From the first text, itself included, up to the second, itself excluded."""

RANGES: Final = "ranges"
LIMIT: Final = "n"
_LIMIT: Final[Any] = bindparam(LIMIT, type_=BigInteger)


def visible_ranges(
    visible: Visible, *, depth: int, ordered: Callable[[str], str]
) -> Sequence[Range]:
    """Answer the ranges in which the visible keys of one kind lie, in order and apart.

    `depth` is the number of ids in a key of the kind, `ordered` makes what is ranged over of a
    key. No allowed scope lies below another, and no denied one outside of them
    (`services.policy.accessible`).
    """
    found: list[Range] = []
    for scope in visible.allowed:
        found += _covered(scope, depth, ordered)
    # Sorted after they are made: `a-b` is less than `a/`, though `a` is less than both.
    found.sort()
    taken: list[Range] = []
    for scope in visible.denied:
        taken += _covered(scope, depth, ordered)
    for scope in visible.denied_here:
        if _depth(scope) == depth:
            taken += _covered(scope, depth, ordered)
    return _without(found, sorted(taken)) if taken else found


def after_position(ranges: Sequence[Range], last: str, *, descending: bool) -> Sequence[Range]:
    """Answer what of some ranges comes after a text, in the direction of a list.

    The text itself may be left in: it is the first of its range.
    """
    if descending:
        end = bisect_left(ranges, last, key=lambda one: one[0])
        return [(low, min(high, last)) for low, high in ranges[:end]]
    start = bisect_right(ranges, last, key=lambda one: one[1])
    return [(max(low, last), high) for low, high in ranges[start:]]


def parameters(ranges: Sequence[Range], *, descending: bool) -> dict[str, str]:
    """Answer what a statement is told of the ranges."""
    told = reversed(ranges) if descending else ranges
    return {RANGES: json.dumps(list(told))}


def seen_page(
    rows: Select[Any],
    narrowed: Select[Any],
    columns: Sequence[ColumnElement[Any]],
    *,
    position: ColumnElement[Any],
    key: ColumnElement[Any],
    descending: Sequence[bool],
    dialect: str,
) -> Select[Any]:
    """Build the statement of a page of `rows` that lies in the ranges which it is told.

    `narrowed` are the rows under all conditions but these. `position` is what the ranges are of,
    `columns` with `descending` the order of the page; `key` tells rows apart. The page has at
    most as many rows as the parameter LIMIT says, and the columns of the order at its end.
    """
    ordered = _ordered(columns, descending)
    in_order = columns[0] is position
    if dialect == "sqlite":
        found = narrowed.with_only_columns(key).order_by(*ordered).limit(_LIMIT)
        return _sqlite(
            rows.add_columns(*columns).order_by(*ordered).limit(_LIMIT),
            found,
            position,
            key=key,
            in_order=in_order,
        )
    labels = [column.label(f"o{at}") for at, column in enumerate(columns)]
    found = narrowed.with_only_columns(key.label("key"), *labels)
    seen = _postgresql(
        found.order_by(*ordered).limit(_LIMIT), position, descending, in_order=in_order
    )
    last = list(seen.c)[1:]
    return (
        rows.add_columns(*last).join(seen, key == seen.c.key).order_by(*_ordered(last, descending))
    )


def _postgresql(
    found: Select[Any], position: ColumnElement[Any], descending: Sequence[bool], *, in_order: bool
) -> Subquery:
    """Answer keys and order, range by range: the planner stops at the range that fills a page."""
    told = func.jsonb_array_elements(cast(bindparam(RANGES, type_=Text), JSONB))
    ranges = told.table_valued("value", with_ordinality="i").render_derived(name="ranges")
    low, high = (
        collate(func.jsonb_extract_path_text(ranges.c.value, at, type_=Text), "C") for at in "01"
    )
    here = found.where(position >= low, position < high).lateral("here")
    first: list[ColumnElement[Any]] = [ranges.c.i] if in_order else []
    return (
        select(*here.c)
        .select_from(ranges.join(here, true()))
        .order_by(*first, *_ordered(list(here.c)[1:], descending))
        .limit(_LIMIT)
        .subquery("seen")
    )


def _sqlite(
    page: Select[Any],
    found: Select[Any],
    position: ColumnElement[Any],
    *,
    key: ColumnElement[Any],
    in_order: bool,
) -> Select[Any]:
    """Answer the page, range by range, counting first how many of them it needs.

    SQLite has no lateral joins, and sorts everything where the order of the ranges is not that
    of a table.
    """
    each = func.json_each(bindparam(RANGES, type_=Text)).table_valued("key", "value", name="each")
    low, high = (type_coerce(func.json_extract(each.c.value, f"$[{at}]"), KeyText) for at in (0, 1))
    told = select(each.c.key.label("i"), low.label("low"), high.label("high"))
    ranges = told.cte("ranges")
    here = found.where(position >= ranges.c.low, position < ranges.c.high).correlate(ranges)
    statement = page.join(ranges, true()).where(key.in_(here))
    return statement.where(ranges.c.i < _needed(here, ranges)) if in_order else statement


def _ordered(
    columns: Sequence[ColumnElement[Any]], descending: Sequence[bool]
) -> Sequence[ColumnElement[Any]]:
    return [one.desc() if down else one for one, down in zip(columns, descending, strict=True)]


def _needed(here: Select[Any], ranges: CTE) -> Any:
    """Answer the number of ranges that hold a page, from the first on."""
    begun = select(literal(0, Integer).label("i"), literal(0, Integer).label("seen"))
    walk = begun.cte("walk", recursive=True)
    seen = select(func.count()).select_from(here.order_by(None).subquery())
    step = (
        select(walk.c.i + 1, walk.c.seen + seen.correlate(ranges).scalar_subquery())
        .join_from(walk, ranges, ranges.c.i == walk.c.i)
        .where(walk.c.seen < _LIMIT)
    )
    whole = walk.union_all(step)
    return select(func.max(whole.c.i)).scalar_subquery()


def _covered(scope: str, depth: int, ordered: Callable[[str], str]) -> Sequence[Range]:
    """Answer the ranges of the keys of a depth that are a scope or lie below it."""
    deep = _depth(scope)
    if deep > depth:
        return ()
    if deep == depth:
        # No id holds a character before the space, and none ends with one.
        return ((ordered(scope), f"{ordered(scope)} "),)
    # "0" is the character after "/".
    return ((f"{scope}/", f"{scope}0"),)


def _without(found: Sequence[Range], taken: Sequence[Range]) -> list[Range]:
    """Take ranges out of others; both are in order, the first ones are apart."""
    left: list[Range] = []
    at = 0
    for low, high in found:
        rest = low
        while at < len(taken) and taken[at][1] <= rest:
            at += 1
        while at < len(taken) and taken[at][0] < high:
            gone_low, gone_high = taken[at]
            if gone_low > rest:
                left.append((rest, gone_low))
            rest = gone_high
            at += 1
        if rest < high:
            left.append((rest, high))
    return left


def _depth(scope: str) -> int:
    return (scope.count("/") + 1) // 2
