"""Times and spans of time that are none: their types hold more than any reader accepts.

A Timestamp ends with the year 9999 and a Duration after 10,000 years (timestamp.proto,
duration.proto), yet their two numbers go on. Such a request cannot be read, like one that is no
message of its type: neither protovalidate nor a servicer could compute with it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.kernel.violations import Violations

_KINDS: Final[Mapping[str, Callable[[Any], object]]] = {
    Timestamp.DESCRIPTOR.full_name: Timestamp.ToJsonString,
    Duration.DESCRIPTOR.full_name: Duration.ToJsonString,
}


@cache
def holds_times(kind: Descriptor) -> bool:
    """Whether a message of this type, or one within it, has a time or a span of time."""
    return _reaches(kind, set())


def check(message: Message) -> None:
    """Refuse a request with a time that is none.

    Raises:
        InvalidArgument: names every such field.
    """
    violations = Violations()
    for path in _wrong(message, ""):
        violations.add(path, "the time or duration is out of the range of its type")
    violations.raise_if_any()


def _reaches(kind: Descriptor, seen: set[str]) -> bool:
    if kind.full_name in _KINDS:
        return True
    if kind.full_name in seen:
        return False
    seen.add(kind.full_name)
    inner = (field.message_type for field in kind.fields)
    return any(_reaches(one, seen) for one in inner if one is not None)


def _wrong(message: Message, path: str) -> Iterator[str]:
    written = _KINDS.get(message.DESCRIPTOR.full_name)
    if written is not None:
        try:
            written(message)
        except ValueError:
            yield path
        return
    for field, value in message.ListFields():
        if field.message_type is not None and holds_times(field.message_type):
            here = f"{path}.{field.name}" if path else field.name
            for subscript, inner in _inner(field, value):
                yield from _wrong(inner, here + subscript)


def _inner(field: FieldDescriptor, value: Any) -> Iterator[tuple[str, Message]]:
    if not field.is_repeated:
        yield "", value
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key, one in value.items():
            yield f'["{key}"]' if isinstance(key, str) else f"[{key}]", one
    else:
        for number, one in enumerate(value):
            yield f"[{number}]", one
