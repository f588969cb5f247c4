"""Values inside of JSON, and lists sent as JSON, on SQLite and on PostgreSQL."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB


def document_text(
    column: ColumnElement[Any], path: Sequence[str], dialect: str
) -> ColumnElement[str]:
    """Answer the text at a path in a JSON column, NULL where it is not there."""
    raw = cast(column, Text)
    if dialect == "sqlite":
        return func.json_extract(raw, _sqlite_path(path), type_=Text)
    return func.jsonb_extract_path_text(cast(raw, JSONB), *path, type_=Text)


def listed(values: Sequence[str], dialect: str) -> Select[tuple[str]]:
    """Answer a list of any length as the rows of a query, which is sent one parameter."""
    told = literal(json.dumps(list(values)), Text)
    if dialect == "sqlite":
        return select(func.json_each(told).table_valued("value").c.value)
    return select(func.jsonb_array_elements_text(cast(told, JSONB)).column_valued())


def _sqlite_path(path: Sequence[str]) -> str:
    quoted = (one.replace("\\", "\\\\").replace('"', '\\"') for one in path)
    return "$" + "".join(f'."{one}"' for one in quoted)
