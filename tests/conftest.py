"""What every test may ask for."""

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# How fast the machine is decides about no test.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


def _tool(name: str) -> str:
    """The path of a program, or a skip that says it is missing.

    Where STOA_REQUIRE_TOOLS is 1 the machine promises every tool, and a missing one fails.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed on this machine; .ci/run installs it"
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
