"""One value of a map that is stored as JSON text."""

from typing import Any

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class JsonValue(FunctionElement[str]):
    """The text at one key of a JSON object, null where there is none."""

    type = Text()
    name = "json_value"
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], map_key: str) -> None:
        super().__init__(column, literal(map_key, Text()))


@compiles(JsonValue, "sqlite")
def _sqlite(element: Any, compiler: Any, **kwargs: Any) -> str:
    column, map_key = (compiler.process(one, **kwargs) for one in element.clauses)
    # A quoted label takes any key; a quote within it cannot be written, and finds nothing.
    return f"json_extract({column}, '$.\"' || replace({map_key}, '\"', '') || '\"')"


@compiles(JsonValue, "postgresql")
def _postgresql(element: Any, compiler: Any, **kwargs: Any) -> str:
    column, map_key = (compiler.process(one, **kwargs) for one in element.clauses)
    return f"(CAST({column} AS json) ->> CAST({map_key} AS text))"
