"""The command against a real replication service and its stores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.app import run
from cli.installation.identity import make_token
from services.kernel.rpc.registry import Audience
from tests.wire.replication.conftest import authz, service, working, world  # noqa: F401 - fixtures
from tests.wire.replication.service import Service, World

Command = Callable[..., tuple[int, Any, str]]


class Stoa:
    """The command, as the owner calls it."""

    def __init__(
        self,
        called: Service,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._capsys = capsys
        monkeypatch.setenv("STOA_HOME", str(home))
        monkeypatch.setenv("STOA_CONTEXTS", str(home / "contexts.toml"))
        token = make_token(called.layout, subject="owner", tenant="default")
        monkeypatch.setenv("STOA_TOKEN", token)
        endpoint = f"127.0.0.1:{called.server.ports[Audience.CLIENT]}"
        services = (f"--{one}={endpoint}" for one in ("catalog", "replication", "authz"))
        assert run(("context", "add", "test", *services, "--subscription", "default")) == 0
        assert run(("context", "use", "test")) == 0
        capsys.readouterr()

    def __call__(self, *args: str) -> tuple[int, Any, str]:
        """Run a command line; answer its exit code, result and what it tells."""
        code = run((*args, "-o", "json"))
        told = self._capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err


@pytest.fixture
def stoa(
    service: Service,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Stoa:
    return Stoa(service, tmp_path, monkeypatch, capsys)


@pytest.fixture
def version(stoa: Stoa, world: World) -> Command:  # noqa: F811
    """Run a verb of `stoa image-version` on the version of the test, by its full name."""
    name = world.version
    told = ("-g", name, "-r", name, "-i", name, "-e", name)
    return lambda verb, *options: stoa("image-version", verb, *told, *options)


@pytest.fixture
def region(stoa: Stoa, world: World) -> Command:  # noqa: F811
    """Run a verb of `stoa region` on a region of the test, "home" unless it is named."""

    def command(verb: str, *options: str, of: str = "home") -> tuple[int, Any, str]:
        return stoa("region", verb, "--name", world.location(of), *options)

    return command
