"""Texts that no database keeps alike: those with the character NUL.

It is a character like any other to protobuf and to SQLite, PostgreSQL's text has no place for it.
Such a request is refused whatever the database is, like one with times that are none.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.kernel.violations import Violations

_NUL: Final = "\0"
_TEXT: Final = FieldDescriptor.TYPE_STRING


def check(message: Message, raw: bytes) -> None:
    """Refuse a request, which `raw` is too, with a text that has the character NUL.

    Raises:
        InvalidArgument: names every such field.
    """
    # Hardly any request has a zero byte at all: not even the number 0 is written as one.
    if b"\0" not in raw:
        return
    violations = Violations()
    for path in _wrong(message, ""):
        violations.add(path, "a text cannot contain the character NUL")
    violations.raise_if_any()


@cache
def _holds_texts(kind: Descriptor) -> bool:
    """Whether a message of this type, or one within it, has a text."""
    return _reaches(kind, set())


def _reaches(kind: Descriptor, seen: set[str]) -> bool:
    if kind.full_name in seen:
        return False
    seen.add(kind.full_name)
    return any(
        field.type == _TEXT
        or (field.message_type is not None and _reaches(field.message_type, seen))
        for field in kind.fields
    )


def _wrong(message: Message, path: str) -> Iterator[str]:
    for field, value in message.ListFields():
        here = f"{path}.{field.name}" if path else field.name
        if field.type == _TEXT:
            texts = value if field.is_repeated else (value,)
            if any(_NUL in one for one in texts):
                yield here
        elif field.message_type is not None and _holds_texts(field.message_type):
            yield from _within(field, value, here)


def _within(field: FieldDescriptor, value: Any, here: str) -> Iterator[str]:
    kind = field.message_type
    if not field.is_repeated:
        yield from _wrong(value, here)
    elif kind is not None and kind.GetOptions().map_entry:
        for key, one in value.items():
            # The path of a key that cannot be kept would be such a text itself.
            if any(isinstance(text, str) and _NUL in text for text in (key, one)):
                yield here
            elif isinstance(one, Message):
                yield from _wrong(
                    one, f'{here}["{key}"]' if isinstance(key, str) else f"{here}[{key}]"
                )
    else:
        for number, one in enumerate(value):
            yield from _wrong(one, f"{here}[{number}]")
