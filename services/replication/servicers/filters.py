"""Comparisons of a filter with values that are not in a column."""

import operator
from collections.abc import Sequence
from typing import Final

from services.kernel.filter import Comparison, Op

_ORDERED: Final = {
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
}


def compared(values: Sequence[str], comparison: Comparison) -> bool:
    """Whether one of several values passes; `!=` holds where none is equal.

    `:` finds a part of a single text, and an element of a list.
    """
    wanted = str(comparison.value)
    match comparison.op:
        case Op.EQ:
            return wanted in values
        case Op.NE:
            return wanted not in values
        case Op.HAS:
            return any(wanted.lower() in value.lower() for value in values)
        case _:
            return any(_ORDERED[comparison.op](value, wanted) for value in values)
