"""The command, pointed at the replication service of a test."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.app import run
from cli.installation.identity import make_token
from services.kernel.rpc.registry import Audience
from tests.wire.replication.service import Service, World


def use_service(service: Service, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands of this process call a service, as its owner; `home` is theirs alone."""
    monkeypatch.setenv("STOA_HOME", str(home))
    monkeypatch.setenv("STOA_CONTEXTS", str(home / "contexts.toml"))
    token = make_token(service.layout, subject="owner", tenant="default")
    monkeypatch.setenv("STOA_TOKEN", token)
    endpoint = f"127.0.0.1:{service.server.ports[Audience.CLIENT]}"
    services = (f"--{one}={endpoint}" for one in ("catalog", "replication", "authz"))
    assert run(("context", "add", "test", *services, "--subscription", "default")) == 0
    assert run(("context", "use", "test")) == 0


class VersionCommand:
    """The verbs of `stoa image-version` on the version of a test, by its full name."""

    def __init__(self, made: World, capsys: pytest.CaptureFixture[str]) -> None:
        self._world = made
        self._capsys = capsys

    def __call__(self, verb: str, *options: str) -> tuple[int, Any, str]:
        """Run one; answer its exit code, result and what it tells."""
        name = self._world.version
        version = ("-g", name, "-r", name, "-i", name, "-e", name)
        code = run(("image-version", verb, *version, *options, "-o", "json"))
        told = self._capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err
