import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import app
from cli.errors import CliError, ExitCode
from cli.lazy import Entry

Stoa = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_can_be_loaded_and_tells_about_itself(name: str, stoa: Stoa) -> None:
    code, out, _ = stoa(name, "--help")
    assert code == 0
    assert f"stoa {name}" in out


def test_an_unknown_command_is_refused_with_the_nearest_one(stoa: Stoa) -> None:
    code, _, err = stoa("contex")
    assert code == ExitCode.USAGE
    assert "Did you mean 'context'" in err


def test_an_unknown_option_says_where_help_is(stoa: Stoa) -> None:
    code, _, err = stoa("context", "list", "--colour")
    assert code == ExitCode.USAGE
    assert "stoa context list --help" in err


def test_global_options_may_stand_before_and_after_the_command(stoa: Stoa) -> None:
    before = stoa("-o", "jsonl", "context", "list")
    after = stoa("context", "list", "-o", "jsonl")
    assert before == after
    assert json.loads(after[1])["name"] == "local"


def test_results_are_json_where_no_terminal_is(stoa: Stoa) -> None:
    _, out, _ = stoa("context", "list")
    assert json.loads(out)[0]["name"] == "local"


def test_quiet_keeps_results_and_drops_remarks(stoa: Stoa, tmp_path: Path) -> None:
    _, _, told = stoa("init", "--data", str(tmp_path / "a"))
    code, out, err = stoa("init", "--data", str(tmp_path / "b"), "--quiet")
    assert "written" in told
    assert (code, err) == (0, "")
    assert json.loads(out)["data"] == str(tmp_path / "b")


def test_a_failure_says_what_why_and_what_to_do(
    stoa: Stoa, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CliError(
            "It broke.",
            why=("field: wrong",),
            todo="Mend it.",
            code=ExitCode.CONFLICT,
            debug=("code: ABORTED (10)",),
        )

    monkeypatch.setattr("cli.contexts.load", fail)
    code, out, err = stoa("context", "list")
    assert (code, out) == (5, "")
    assert err == "error: It broke.\n  why: field: wrong\n  do:  Mend it.\n"
    _, _, err = stoa("context", "list", "--debug")
    assert "code: ABORTED (10)" in err
    assert "trace id: " in err


def test_a_defect_is_reported_and_its_place_shown_on_demand(
    stoa: Stoa, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("cli.contexts.load", fail)
    code, _, err = stoa("context", "list")
    assert code == ExitCode.GENERAL
    assert "ZeroDivisionError: oh" in err
    assert "Traceback" not in err
    assert "Traceback" in stoa("context", "list", "--debug")[2]


def test_ctrl_c_ends_with_130(stoa: Stoa, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.contexts.load", interrupt)
    assert stoa("context", "list")[0] == ExitCode.INTERRUPTED


def test_a_repeatable_option_takes_several_values(
    stoa: Stoa, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "tests_listing"
    source = """
import typer
from typing import Annotated
from cli.invocation import current
from cli.lazy import ListCommand
app = typer.Typer()
@app.command(cls=ListCommand)
def listing(
    target_regions: Annotated[list[str], typer.Option()],
    location: Annotated[str, typer.Option("-l")] = "",
) -> None:
    current().output.show({"regions": target_regions, "location": location})
"""
    import sys
    import types

    made = types.ModuleType(module)
    exec(source, made.__dict__)
    monkeypatch.setitem(sys.modules, module, made)
    monkeypatch.setitem(app.COMMANDS, "listing", Entry(module, "", ""))
    args = ("--target-regions", "eastus=2", "westus", "-l", "eastus", "--target-regions", "north")
    code, out, _ = stoa("listing", *args, "-o", "json")
    assert code == 0
    assert json.loads(out) == {"regions": ["eastus=2", "westus", "north"], "location": "eastus"}
    assert stoa("listing", "--target-regions")[0] == ExitCode.USAGE


def test_the_span_of_a_command_is_written_where_the_environment_says(
    stoa: Stoa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "spans.jsonl"
    monkeypatch.setenv("STOA_TELEMETRY_FILE", str(file))
    monkeypatch.setenv("TRACEPARENT", f"00-{'a' * 32}-{'b' * 16}-01")
    stoa("context", "use", "nowhere")
    (span,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert span["name"] == "stoa context use"[: len(span["name"])]
    assert (span["trace_id"], span["parent_span_id"]) == ("a" * 32, "b" * 16)
    assert span["status"] == "ERROR"
