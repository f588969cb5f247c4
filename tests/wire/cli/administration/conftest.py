"""The command against a real authz."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.app import run
from services.kernel.rpc.registry import Audience
from tests.wire.authz.conftest import authz, world  # noqa: F401 - fixtures
from tests.wire.authz.installation import Installation
from tests.wire.cli.verbs.conftest import Stoa


@pytest.fixture
def stoa(
    authz: Installation,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Stoa:
    monkeypatch.setenv("STOA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STOA_CONTEXTS", str(tmp_path / "contexts.toml"))
    endpoint = f"127.0.0.1:{authz.ports[Audience.CLIENT]}"
    services = (f"--{one}={endpoint}" for one in ("catalog", "replication", "authz"))
    assert run(("context", "add", "test", *services, "--subscription", "default")) == 0
    assert run(("context", "use", "test")) == 0
    capsys.readouterr()
    running = SimpleNamespace(authz=authz)
    return Stoa(running, monkeypatch, capsys)  # type: ignore[arg-type]
