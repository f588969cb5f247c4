"""A user without a configuration and without an installation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.app import run


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from the contexts and the data of whoever runs them."""
    import os

    for name in [one for one in os.environ if one.startswith("STOA_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("TRACEPARENT", raising=False)
    monkeypatch.setenv("STOA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STOA_CONTEXTS", str(tmp_path / "contexts.toml"))


@pytest.fixture
def stoa(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`stoa("context", "list")` answers exit code, output and errors."""

    def call(*args: str) -> tuple[int, str, str]:
        code = run(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
