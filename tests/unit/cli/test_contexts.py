import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import contexts
from cli.contexts import Context
from cli.errors import CliError, ExitCode

Stoa = Callable[..., tuple[int, str, str]]


def test_without_a_file_the_installation_of_this_machine_is_current(tmp_path: Path) -> None:
    found = contexts.load(tmp_path / "none.toml")
    assert found.find(found.current) == Context("local")


def test_a_context_survives_being_saved(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "contexts.toml"
    context = Context(
        "prod",
        endpoints={"catalog": "c.example:7401", "authz": "a.example:7403"},
        ca_file='/etc/"odd"\\ca.crt',
        token_command="vault read token",
        subscription="images",
    )
    contexts.save(file, contexts.load(file).added(context).using("prod"))
    again = contexts.load(file)
    assert again.current == "prod"
    assert again.find("prod") == context


def test_using_an_unknown_context_names_the_known_ones(stoa: Stoa) -> None:
    stoa("context", "add", "prod", "--catalog", "c:1")
    code, _, err = stoa("context", "use", "pord")
    assert code == ExitCode.USAGE
    assert "local, prod" in err


def test_the_command_adds_uses_and_lists(stoa: Stoa, tmp_path: Path) -> None:
    assert stoa("context", "add", "prod", "--catalog", "c:1", "--ca-file", "ca.crt")[0] == 0
    assert stoa("context", "add", "lab", "--data", str(tmp_path / "lab"))[0] == 0
    assert stoa("context", "use", "prod")[0] == 0
    _, out, _ = stoa("context", "list")
    found = {one["name"]: one for one in json.loads(out)}
    assert found["prod"]["current"] is True
    assert found["prod"]["ca_file"] == str(Path("ca.crt").absolute())
    assert found["lab"] == {"current": False, "name": "lab", "data": str(tmp_path / "lab")}
    assert found["local"]["current"] is False


@pytest.mark.parametrize(
    "arguments", [(), ("--catalog", "c:1", "--data", "/d"), ("--subscription", "s")]
)
def test_a_context_has_endpoints_or_a_data_directory(
    arguments: tuple[str, ...], stoa: Stoa
) -> None:
    assert stoa("context", "add", "prod", *arguments)[0] == ExitCode.USAGE


def test_a_name_that_no_file_could_hold_is_refused(stoa: Stoa) -> None:
    assert stoa("context", "add", "a.b", "--catalog", "c:1")[0] == ExitCode.USAGE


@pytest.mark.parametrize(
    "text", ["current = ", "[contexts.a]\ncolour = 'red'", "[contexts.a]\ndata = 1"]
)
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "contexts.toml"
    file.write_text(text)
    with pytest.raises(CliError):
        contexts.load(file)
