"""How results are written: tables for people, JSON for programs.

The names of properties are those of the proto's JSON form, in every format.
"""

import enum
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TextIO

from cli.messages import to_json

if TYPE_CHECKING:
    from google.protobuf.message import Message

Record = Mapping[str, Any]


class Format(enum.StrEnum):
    """What `-o` takes."""

    JSON = "json"
    JSONL = "jsonl"
    TABLE = "table"
    TSV = "tsv"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading and where its value is.

    `value` is a dotted path into the JSON form (`sharing.mode`), or a function of it.
    """

    heading: str
    value: str | Callable[[Record], Any]

    def of(self, record: Record) -> str:
        """The cell for a record; empty where it has no such value."""
        return cell(self.value(record) if callable(self.value) else at(record, self.value))


class Output:
    """Writes the results of a command to `stream`, in `format` or in what suits the stream."""

    def __init__(self, format: Format | None = None, *, stream: TextIO | None = None) -> None:
        self._format: Final = format
        self._stream = stream

    @property
    def stream(self) -> TextIO:
        """Where results go; looked up when used, because tests replace sys.stdout."""
        return self._stream or sys.stdout

    @property
    def format(self) -> Format:
        """The format asked for; otherwise a table on a terminal and JSON elsewhere."""
        return self._format or (Format.TABLE if self.stream.isatty() else Format.JSON)

    def show(self, found: "Message | Record", columns: Sequence[Column] = ()) -> None:
        """Write one result; `columns` order its table, or else every property is a line."""
        record = to_json(found)
        match self.format:
            case Format.JSON:
                self._line(json.dumps(record, indent=2, ensure_ascii=False))
            case Format.JSONL:
                self._line(json.dumps(record, ensure_ascii=False))
            case Format.TSV:
                shown = columns or _columns([record])
                self._line("\t".join(_one_line(column.of(record)) for column in shown))
            case Format.TABLE:
                shown = columns or _columns([record])
                rows = [(column.heading, column.of(record)) for column in shown]
                self._table(("", ""), [row for row in rows if row[1]], heading=False)
            case Format.NONE:
                pass

    def list(self, found: "Iterable[Message | Record]", columns: Sequence[Column] = ()) -> None:
        """Write many results; `found` may page while it is read, and jsonl and tsv do not wait."""
        records: Iterator[Record] = (to_json(one) for one in found)
        match self.format:
            case Format.JSON:
                self._line(json.dumps(list(records), indent=2, ensure_ascii=False))
            case Format.JSONL:
                for record in records:
                    self._line(json.dumps(record, ensure_ascii=False))
            case Format.TSV:
                for record in records:
                    shown = columns or _columns([record])
                    self._line("\t".join(_one_line(column.of(record)) for column in shown))
            case Format.TABLE:
                rows = list(records)
                shown = columns or _columns(rows)
                cells = [tuple(column.of(record) for column in shown) for record in rows]
                if cells:
                    self._table([column.heading for column in shown], cells)
                else:
                    note("Nothing found.")
            case Format.NONE:
                for _ in records:
                    pass

    def text(self, text: str) -> None:
        """Write a line that is the result itself, such as a token, in every format but none."""
        if self.format is not Format.NONE:
            self._line(text)

    def _line(self, text: str) -> None:
        self.stream.write(text + "\n")

    def _table(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]], *, heading: bool = True
    ) -> None:
        if self.stream.isatty():
            _rich_table(self.stream, headings, rows, heading=heading)
            return
        lines = [headings, *rows] if heading else list(rows)
        widths = [max(len(_one_line(line[i])) for line in lines) for i in range(len(headings))]
        for line in lines:
            padded = (
                _one_line(text).ljust(width) for text, width in zip(line, widths, strict=True)
            )
            self._line("  ".join(padded).rstrip())


def note(text: str) -> None:
    """Tell the person something that is no result."""
    from cli.invocation import current

    if not current().options.quiet:
        sys.stderr.write(text + "\n")


def at(record: Record, path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def cell(value: Any) -> str:
    """A value as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{key}={cell(one)}" for key, one in value.items())
        case list() | tuple():
            return ", ".join(cell(one) for one in value)
        case _:
            return str(value)


def human_bytes(count: int) -> str:
    """A number of bytes in binary units: `1.5 GiB`."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:.1f} {('KiB', 'MiB', 'GiB', 'TiB')[power - 1]}"


def _columns(records: Sequence[Record]) -> list[Column]:
    keys = dict.fromkeys(key for record in records for key in record)
    return [Column(key, key) for key in keys]


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ")


def _rich_table(
    stream: TextIO, headings: Sequence[str], rows: Sequence[Sequence[str]], *, heading: bool
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if heading else None, show_header=heading, pad_edge=False)
    for i, title in enumerate(headings):
        table.add_column(title, overflow="fold", style="" if heading or i else "bold")
    for row in rows:
        # Text, because a name may hold what rich would take for markup.
        table.add_row(*(Text(text) for text in row))
    Console(file=stream).print(table)
