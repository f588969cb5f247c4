import base64
import json
from pathlib import Path

import pytest

from cli import contexts
from cli.contexts import Context
from cli.errors import CliError, ExitCode, UsageProblem
from cli.installation.layout import Layout
from cli.installation.writing import write
from cli.target import resolve


def environ(tmp_path: Path, **given: str) -> dict[str, str]:
    return {
        "STOA_HOME": str(tmp_path / "home"),
        "STOA_CONTEXTS": str(tmp_path / "contexts.toml"),
        **given,
    }


def saved(tmp_path: Path, context: Context) -> None:
    file = tmp_path / "contexts.toml"
    contexts.save(file, contexts.load(file).added(context))


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_without_an_installation_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(CliError) as caught:
        resolve(None, environ(tmp_path))
    assert "stoa up" in caught.value.todo


def test_the_installation_here_is_used_as_its_owner(tmp_path: Path) -> None:
    write(Layout(tmp_path / "home"), {"owner": "ada", "tenant": "t1", "subscription": "images"})
    target = resolve(None, environ(tmp_path))
    assert target.endpoint("catalog") == "127.0.0.1:7401"
    assert target.subscription == "images"
    assert target.data == tmp_path / "home"
    token = target.token()
    assert claims(token)["sub"] == "ada"
    assert claims(token)["tid"] == "t1"
    assert target.token() == token


def test_a_flag_stands_before_the_environment_and_that_before_the_context(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        saved(tmp_path, Context(name, endpoints={"catalog": f"{name}:1"}, subscription=name))
    file = tmp_path / "contexts.toml"
    contexts.save(file, contexts.load(file).using("one"))
    assert resolve(None, environ(tmp_path)).endpoint("catalog") == "one:1"
    said = environ(tmp_path, STOA_CONTEXT="two")
    assert resolve(None, said).endpoint("catalog") == "two:1"
    assert resolve("three", said).endpoint("catalog") == "three:1"
    said |= {"STOA_ENDPOINT_CATALOG": "env:1", "STOA_SUBSCRIPTION": "env", "STOA_CA_FILE": "/ca"}
    target = resolve("three", said)
    assert (target.endpoint("catalog"), target.subscription, target.ca_file) == (
        "env:1",
        "env",
        "/ca",
    )


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    said = {f"STOA_ENDPOINT_{name}": f"{name}:1" for name in ("CATALOG", "REPLICATION", "AUTHZ")}
    target = resolve(None, environ(tmp_path, STOA_TOKEN="secret", **said))
    assert target.endpoint("authz") == "AUTHZ:1"
    assert target.token() == "secret"


def test_a_service_that_nobody_named_is_asked_for(tmp_path: Path) -> None:
    saved(tmp_path, Context("prod", endpoints={"catalog": "c:1"}))
    with pytest.raises(UsageProblem, match="authz"):
        resolve("prod", environ(tmp_path)).endpoint("authz")


def test_tokens_come_from_flag_environment_command_or_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    endpoints = {"catalog": "c:1"}
    saved(tmp_path, Context("command", endpoints=endpoints, token_command="echo from-command"))
    saved(tmp_path, Context("file", endpoints=endpoints, token_file=str(file)))
    saved(tmp_path, Context("none", endpoints=endpoints))
    said = environ(tmp_path)
    assert resolve("command", said).token() == "from-command"
    assert resolve("file", said).token() == "from-file"
    assert resolve("none", said | {"STOA_TOKEN_FILE": str(file)}).token() == "from-file"
    assert resolve("file", said | {"STOA_TOKEN": "from-env"}).token() == "from-env"
    flag = resolve("command", said | {"STOA_TOKEN": "from-env"}, token_file=str(file))
    assert flag.token() == "from-file"


@pytest.mark.parametrize(
    "context",
    [
        Context("c", endpoints={"catalog": "c:1"}),
        Context("c", endpoints={"catalog": "c:1"}, token_file="/nowhere/token"),
        Context("c", endpoints={"catalog": "c:1"}, token_command="false"),
        Context("c", endpoints={"catalog": "c:1"}, token_command="/nowhere/command"),
    ],
)
def test_a_token_that_cannot_be_had_is_a_refusal(context: Context, tmp_path: Path) -> None:
    saved(tmp_path, context)
    with pytest.raises(CliError) as caught:
        resolve("c", environ(tmp_path)).token()
    assert caught.value.code is ExitCode.DENIED
