"""Requests with far too much in them: refused before anything is done for each part of it.

The contract bounds most lists by itself, and every breach of it is told together with all others.
What is found in millions of parts would cost more to tell than any request is worth, and be found
while others wait, so there is a bound beyond all of the contract's, for lists and maps alike.
"""

from collections.abc import Iterator, Sized
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from services.kernel.errors import InvalidArgument

MAX_IN_FIELD: Final = 4096
MAX_IN_REQUEST: Final = 32_768
# A part takes two bytes at least, but for packed numbers, which the contract has few of.
_SMALL: Final = 2 * MAX_IN_FIELD


def check(message: Message, raw: bytes) -> None:
    """Refuse a request, which `raw` is too, that has too many parts.

    Raises:
        InvalidArgument: names the first list or map with too many, or what made it too many.
    """
    if len(raw) <= _SMALL:
        return
    total = 0
    for path, count in _counts(message, ""):
        total += count
        if count > MAX_IN_FIELD:
            raise InvalidArgument.of(path, f"has more than {MAX_IN_FIELD} elements")
        if total > MAX_IN_REQUEST:
            problem = f"with it the request has more than {MAX_IN_REQUEST} elements in all"
            raise InvalidArgument.of(path, problem)


def _counts(message: Message, path: str) -> Iterator[tuple[str, int]]:
    """Answer how many elements each list and map has."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}" if path else field.name
        if field.is_repeated:
            found: Sized = value
            yield here, len(found)
        if field.message_type is not None:
            for one in _inner(field, value):
                yield from _counts(one, here)


def _inner(field: FieldDescriptor, value: Any) -> Iterator[Message]:
    if not field.is_repeated:
        yield value
        return
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        value = value.values()
    yield from (one for one in value if isinstance(one, Message))
