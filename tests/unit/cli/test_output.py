import io
import json

import pytest
from google.longrunning import operations_pb2
from google.rpc import code_pb2

from cli.output import Column, Format, Output, human_bytes

COLUMNS = (Column("Name", "name"), Column("Mode", "sharing.mode"), Column("Tags", "tags"))
ONE = {"name": "gold", "sharing": {"mode": "GROUPS"}, "tags": {"a": "1", "b": "2"}}
TWO = {"name": "silver\nor grey"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(format: Format | None, *, many: bool = False, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    output = Output(format, stream=stream)
    if many:
        output.list([ONE, TWO], COLUMNS)
    else:
        output.show(ONE, COLUMNS)
    return stream.getvalue()


def test_json_holds_everything() -> None:
    assert json.loads(written(Format.JSON)) == ONE
    assert json.loads(written(Format.JSON, many=True)) == [ONE, TWO]


def test_jsonl_is_one_line_each() -> None:
    assert [json.loads(line) for line in written(Format.JSONL, many=True).splitlines()] == [
        ONE,
        TWO,
    ]


def test_tsv_has_the_columns_without_headings_and_stays_on_its_line() -> None:
    assert written(Format.TSV, many=True) == "gold\tGROUPS\ta=1, b=2\nsilver or grey\t\t\n"


def test_a_table_for_a_file_is_aligned_text() -> None:
    assert written(Format.TABLE, many=True) == (
        "Name            Mode    Tags\ngold            GROUPS  a=1, b=2\nsilver or grey\n"
    )


def test_a_table_of_one_is_a_line_for_each_value_that_is_set() -> None:
    assert written(Format.TABLE) == "Name  gold\nMode  GROUPS\nTags  a=1, b=2\n"


def test_a_terminal_gets_a_table_with_names_as_they_are() -> None:
    stream = Terminal()
    Output(None, stream=stream).list([{"name": "[red]x[/red]"}], (Column("Name", "name"),))
    assert "[red]x[/red]" in stream.getvalue()


def test_anything_else_gets_json() -> None:
    assert Output(None, stream=io.StringIO()).format is Format.JSON


def test_none_writes_nothing_but_reads_all() -> None:
    read = []

    def records() -> object:
        for name in ("a", "b"):
            read.append(name)
            yield {"name": name}

    stream = io.StringIO()
    Output(Format.NONE, stream=stream).list(records())  # type: ignore[arg-type]
    assert (stream.getvalue(), read) == ("", ["a", "b"])


def test_jsonl_does_not_wait_for_the_end_of_a_list() -> None:
    stream = io.StringIO()
    seen = []

    def records() -> object:
        yield {"name": "a"}
        seen.append(stream.getvalue())
        yield {"name": "b"}

    Output(Format.JSONL, stream=stream).list(records())  # type: ignore[arg-type]
    assert seen == ['{"name": "a"}\n']


def test_the_details_of_an_operation_are_shown_whatever_was_imported() -> None:
    operation = operations_pb2.Operation(name="operations/1", done=True)
    operation.error.code = code_pb2.ABORTED
    detail = operation.error.details.add()
    detail.type_url = "type.googleapis.com/google.rpc.ErrorInfo"
    stream = io.StringIO()
    Output(Format.JSON, stream=stream).show(operation)
    shown = json.loads(stream.getvalue())
    assert shown["error"]["details"][0]["@type"].endswith("ErrorInfo")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 * 1024, "1.5 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (5 * 1024**5, "5120.0 TiB"),
    ],
)
def test_bytes_are_told_in_binary_units(count: int, text: str) -> None:
    assert human_bytes(count) == text
