"""What callers ask of rows: a change to be made once, a page of a list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.kernel.filter import Comparison

ReplyT = TypeVar("ReplyT")


@dataclass(frozen=True, slots=True)
class Request(Generic[ReplyT]):
    """A change as its caller asked for it: who, what, under which request id.

    `encode` makes the reply that is sent, and kept for a repeat, of the use case's answer.
    """

    caller: str
    method: str
    request_id: str
    digest: bytes
    encode: Callable[[ReplyT], bytes]


@dataclass(frozen=True, slots=True)
class Listing:
    """Which rows a list answers, in which order, and where its page begins.

    `order` are columns that make a row unique, all of them one way; `after` holds their values
    of the last row of the page before. `prefix` is what the key of the name begins with.
    """

    limit: int
    order: tuple[str, ...]
    descending: bool = False
    after: tuple[Any, ...] | None = None
    where: tuple[Comparison, ...] = ()
    prefix: str = ""
