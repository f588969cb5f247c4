"""Domain values as JSON and back, by the types of their fields."""

import base64
import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from services.kernel.db.tables import from_microseconds, to_microseconds

T = TypeVar("T")

_MICROSECOND = timedelta(microseconds=1)


def dump(value: Any) -> Any:
    """Answer the JSON of a value: dataclasses by field, leaving out what has its default."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return to_microseconds(value)
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, tuple | list):
        return [dump(one) for one in value]
    if isinstance(value, Mapping):
        return {name: dump(one) for name, one in value.items()}
    return {
        field.name: dump(found)
        for field in dataclasses.fields(value)
        if (found := getattr(value, field.name)) != field.default
        or field.default is dataclasses.MISSING
    }


def load(cls: type[T], document: Any) -> T:
    """Answer the value of a type that `dump` made this JSON of."""
    hint: Any = cls
    return typing.cast(T, _reader(hint)(document))


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """Make the function that reads a type, once."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        (inner,) = (one for one in arguments if one is not types.NoneType)
        read = _reader(inner)
        return lambda raw: None if raw is None else read(raw)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is not None and issubclass(origin, Mapping):
        read_value = _reader(arguments[1])
        return lambda raw: types.MappingProxyType({k: read_value(v) for k, v in raw.items()})
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(hint)
    if issubclass(hint, enum.Enum):
        return lambda raw: hint(raw)  # noqa: PLW0108 - mypy cannot tell that a class is a function
    scalar: dict[type, Callable[[Any], Any]] = {
        bytes: base64.b64decode,
        datetime: from_microseconds,
        timedelta: lambda raw: raw * _MICROSECOND,
    }
    return scalar.get(hint, lambda raw: raw)


def _tuple_reader(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(arguments) == 2 and arguments[1] is ...:
        read = _reader(arguments[0])
        return lambda raw: tuple(read(one) for one in raw)
    readers = [_reader(one) for one in arguments]
    return lambda raw: tuple(read(one) for read, one in zip(readers, raw, strict=True))


def _dataclass_reader(cls: Any) -> Callable[[Any], Any]:
    readers: dict[str, Callable[[Any], Any]] = {}

    def read(raw: Mapping[str, Any]) -> Any:
        if not readers:
            # Found out at the first use: a type may refer to one that is declared later.
            readers.update({name: _reader(hint) for name, hint in _fields(cls)})
        return cls(**{name: readers[name](value) for name, value in raw.items()})

    return read


def _fields(cls: Any) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(cls)
    return [(field.name, hints[field.name]) for field in dataclasses.fields(cls)]
