"""Writes TOML, which the standard library only reads: tables of texts, numbers and lists."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def dump(document: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """A document of plain keys and one level of tables.

    A dotted key names a table inside a table. `comments` are put above the key `table.key`,
    or above the table.
    """
    said = comments or {}
    lines: list[str] = []
    tables = {key: value for key, value in document.items() if isinstance(value, Mapping)}
    for key, value in document.items():
        if key not in tables:
            lines += _pair("", key, value, said)
    for name, table in tables.items():
        if lines:
            lines.append("")
        lines += _comment(said.get(name, ""))
        lines.append(f"[{_key(name)}]")
        for key, value in table.items():
            lines += _pair(name, key, value, said)
    return "\n".join(lines) + "\n"


def _pair(table: str, key: str, value: Any, comments: Mapping[str, str]) -> list[str]:
    said = comments.get(f"{table}.{key}" if table else key, "")
    return [*_comment(said), f"{_key(key)} = {_value(value)}"]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in text.splitlines()]


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # Every JSON string is a basic string of TOML, once DEL is escaped as well.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case int() | float():
            return str(value)
        case Mapping():
            pairs = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case Sequence():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no form in TOML")
