"""Pages of rows of which some are left out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from services.replication.ports.requests import Listing

# So many pages are looked at until a short one, or an empty one, is answered.
_ROUNDS: Final = 8

RowT = TypeVar("RowT")


def kept_rows(
    page: Callable[[Listing], Sequence[RowT]],
    listing: Listing,
    keep: Callable[[RowT], bool],
    position: Callable[[Listing, RowT], tuple[Any, ...]],
) -> tuple[list[RowT], tuple[Any, ...] | None]:
    """Answer a page of the rows that are kept, and the values after which the next one begins.

    `position` answers the values of a row in the order of the list; None follows the last page.
    """
    found: list[RowT] = []
    for _ in range(_ROUNDS):
        rows = page(replace(listing, limit=listing.limit + 1))
        for index, row in enumerate(rows[: listing.limit]):
            if keep(row):
                found.append(row)
            if len(found) == listing.limit:
                is_last = index + 1 == len(rows)
                return found, None if is_last else position(listing, row)
        if len(rows) <= listing.limit:
            return found, None
        listing = replace(listing, after=position(listing, rows[listing.limit - 1]))
    return found, listing.after
