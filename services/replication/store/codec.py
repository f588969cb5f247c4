"""Frozen dataclasses as JSON values and as rows, by the types of their fields."""

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Row, Table

from services.kernel.db.tables import Json

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Answer what JSON holds of a value; fields with their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(found)
            for field in dataclasses.fields(value)
            if (found := getattr(value, field.name)) != field.default
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [encode(one) for one in value]
    if isinstance(value, Mapping):
        return {name: encode(one) for name, one in value.items()}
    return value


def decode(hint: Any, data: Any) -> Any:
    """Answer the value of type `hint` that `encode` made `data` of."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        if data is None:
            return None
        (inner,) = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return decode(inner, data)
    if origin is tuple:
        element = typing.get_args(hint)[0]
        return tuple(decode(element, one) for one in data)
    if origin is not None:
        element = typing.get_args(hint)[1]
        return {name: decode(element, one) for name, one in data.items()}
    if dataclasses.is_dataclass(hint):
        cls: Any = hint
        hints = _hints(cls)
        return cls(**{name: decode(hints[name], one) for name, one in data.items()})
    if issubclass(hint, enum.Enum):
        return hint(data)
    return datetime.fromisoformat(data) if hint is datetime else data


def to_values(table: Table, record: Any) -> dict[str, Any]:
    """Answer the columns of a row for a record whose fields are named alike."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        column = table.c[field.name]
        if isinstance(column.type, Json):
            value = encode(value)
        elif isinstance(value, enum.Enum):
            value = value.value
        values[field.name] = value
    return values


def from_row(cls: type[T], row: Row[Any]) -> T:
    """Answer the record of a row that has at least the columns of its fields."""
    found = row._mapping  # noqa: SLF001 - the public name of what it is
    values: dict[str, Any] = {}
    known: Any = cls
    for name, hint, is_plain in _plan(known):
        value = found[name]
        values[name] = value if is_plain or value is None else decode(hint, value)
    return cls(**values)


_PLAIN = (str, int, bool, datetime)


@functools.cache
def _plan(cls: Any) -> tuple[tuple[str, Any, bool], ...]:
    return tuple((name, hint, _is_plain(hint)) for name, hint in _hints(cls).items())


def _is_plain(hint: Any) -> bool:
    parts = typing.get_args(hint) if typing.get_origin(hint) is types.UnionType else (hint,)
    return all(part in _PLAIN or part is types.NoneType for part in parts)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)
