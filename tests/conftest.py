"""What every test may ask for."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.object_servers import ObjectServer, azure_server, s3_server

# How fast the machine is decides about no test.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


# Where the project's scripts put programs, and which of them fetches what .ci/run alone does not.
_FETCHED: Final = Path(__file__).parents[1] / ".cache" / "ci" / "bin"
_FETCHED_BY: Final = dict.fromkeys(("azurite-blob", "versitygw"), "tools/object_servers.sh")


def _tool(name: str) -> str:
    """The path of a program, or a skip that says it is missing.

    Where STOA_REQUIRE_TOOLS is 1 the machine promises every tool, and a missing one fails.
    """
    path = shutil.which(name) or shutil.which(name, path=_FETCHED)
    if path is not None:
        return path
    reason = (
        f"{name} is not installed on this machine; {_FETCHED_BY.get(name, '.ci/run')} installs it"
    )
    if os.environ.get("STOA_REQUIRE_TOOLS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs_tool(*names): the test runs programs that a machine may lack"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs_tool"):
        for name in marker.args:
            _tool(name)


@pytest.fixture(scope="session")
def needs_tool() -> Callable[[str], str]:
    """`needs_tool("grpcurl")` answers the program's path, or skips."""
    return _tool


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A server that speaks S3."""
    with s3_server(_tool("versitygw"), tmp_path_factory.mktemp("s3") / "server") as server:
        yield server


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A server that speaks Azure Blob Storage."""
    with azure_server(_tool("azurite-blob"), tmp_path_factory.mktemp("az") / "server") as server:
        yield server
