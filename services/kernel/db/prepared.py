"""A lookup that is compiled once, for the reads that most calls are.

What SQLAlchemy does for each execution costs a lookup by key several times what SQLite does for
it (performance.md, section 2a). The compiled text, the order of the parameters and what turns
stored values into answers never change, so they are kept; the statement is still SQLAlchemy's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Engine, Select
from sqlalchemy.sql.compiler import SQLCompiler

Row = Sequence[Any]


class Prepared:
    """One SELECT whose parameters are sent as they are: text, integers."""

    __slots__ = ("_given", "_processors", "names", "statement", "text")

    def __init__(self, statement: Select[Any], engine: Engine) -> None:
        """Compile for the database of `engine`.

        Raises:
            ValueError: a parameter would have to be converted.
        """
        dialect = engine.dialect
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("not a query")
        for name, bind in compiled.binds.items():
            if bind.type.dialect_impl(dialect).bind_processor(dialect) is not None:
                raise ValueError(f"the parameter {name} would have to be converted")
        self.statement: Final = statement
        self.text: Final = compiled.string
        self.names: Final[Sequence[str]] = tuple(compiled.positiontup or compiled.binds)
        # What the statement itself gives, such as its limit.
        self._given: Final = {
            name: bind.value for name, bind in compiled.binds.items() if bind.value is not None
        }
        found: list[tuple[int, Callable[[Any], Any]]] = []
        for position, column in enumerate(statement.selected_columns):
            processor = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if processor is not None:
                found.append((position, processor))
        self._processors: Final = tuple(found)

    def values(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Answer the parameters in the order in which the text takes them."""
        parameters = self.named(parameters)
        return tuple([parameters[name] for name in self.names])

    def named(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer the parameters by name, with those that the statement gives."""
        return {**self._given, **parameters} if self._given else parameters

    def row(self, stored: Row) -> Row:
        """Answer a row as SQLAlchemy would."""
        row = list(stored)
        for position, processor in self._processors:
            # No type of ours stores what is not NULL as NULL.
            if row[position] is not None:
                row[position] = processor(row[position])
        return row
