"""The command against a real catalog, with a replication service that tests conduct."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.app import run
from cli.installation.identity import make_token
from services.kernel.rpc.registry import Audience
from tests.wire.catalog.conftest import (  # noqa: F401 - fixtures
    authz,
    catalog,
    policy,
    replication,
    world,
)
from tests.wire.catalog.installation import Catalog


class Stoa:
    """The command, as its first owner or as somebody else calls it."""

    def __init__(
        self,
        running: Catalog,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._layout = running.authz.layout
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.user("owner")

    def user(self, subject: str) -> None:
        """Call as another user from now on."""
        token = make_token(self._layout, subject=subject, tenant="default")
        self._monkeypatch.setenv("STOA_TOKEN", token)

    def run(self, *args: str) -> tuple[int, str, str]:
        """Run a command line; answer its exit code, output and errors."""
        code = run((*args, "--quiet"))
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def __call__(self, *args: str) -> Any:
        """Run a command that succeeds; answer its result."""
        code, out, err = self.run(*args, "-o", "json")
        assert code == 0, err
        return json.loads(out) if out else None

    def table(self, *args: str) -> list[list[str]]:
        """Run a command that succeeds; answer the cells of its rows."""
        code, out, err = self.run(*args, "-o", "tsv")
        assert code == 0, err
        return [line.split("\t") for line in out.splitlines()]

    def refused(self, *args: str) -> tuple[int, str]:
        """Run a command that fails; answer its exit code and what it says."""
        code, _, err = self.run(*args)
        assert code
        return code, err


@pytest.fixture
def stoa(
    catalog: Catalog,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Stoa:
    monkeypatch.setenv("STOA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STOA_CONTEXTS", str(tmp_path / "contexts.toml"))
    endpoint = f"127.0.0.1:{catalog.ports[Audience.CLIENT]}"
    services = (f"--{one}={endpoint}" for one in ("catalog", "replication", "authz"))
    assert run(("context", "add", "test", *services, "--subscription", "default")) == 0
    assert run(("context", "use", "test")) == 0
    capsys.readouterr()
    return Stoa(catalog, monkeypatch, capsys)


@pytest.fixture
def completed(catalog: Catalog) -> Callable[[str], None]:  # noqa: F811
    """Makes every region of a version COMPLETED, by its uid."""

    def complete(uid: str, generation: int = 1) -> None:
        asked = catalog.replication.await_ensured(uid, generation)
        for region in asked.desired.regions:
            catalog.replication.tell(uid, region.location, 3, generation=generation)

    return complete
