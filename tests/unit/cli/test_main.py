import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli import VERSION

ROOT = Path(__file__).parents[3]

# What a command must not import before it is needed, by what makes it slow.
HEAVY = {"grpc", "rich", "typer", "jwt", "cryptography", "google.protobuf", "pydantic"}
NEVER = {"sqlalchemy", "alembic", "psycopg", "services", "opentelemetry.sdk"}

PROBE = """
import sys
sys.argv = ["stoa", *{arguments!r}]
from cli.main import main
try:
    main()
except SystemExit as ended:
    print("exit", ended.code)
print("modules", *sorted(sys.modules))
"""


def imported(home: Path, *arguments: str) -> tuple[list[str], set[str]]:
    """The output of a command, and the modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=arguments)],
        capture_output=True,
        check=True,
        env={"STOA_HOME": str(home), "HOME": str(home), "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        text=True,
    )
    *output, modules = done.stdout.splitlines()
    return output, set(modules.split()[1:])


def test_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version_is_answered_before_anything_is_imported(flag: str, tmp_path: Path) -> None:
    output, modules = imported(tmp_path, flag)
    assert output == [f"stoa {VERSION}"]
    assert not HEAVY & modules
    assert {one for one in modules if one.startswith("cli")} == {"cli", "cli.main"}


def test_help_imports_no_command(tmp_path: Path) -> None:
    output, modules = imported(tmp_path, "--help")
    assert output[-1] == "exit 0"
    assert not {one for one in modules if one.startswith("cli.commands.")}
    assert not {"grpc", "jwt", "cryptography"} & modules


@pytest.mark.parametrize(
    "arguments",
    [
        ("context", "list"),
        ("init",),
        ("status",),
        ("token",),
        ("down",),
        ("version",),
        ("up", "-h"),
    ],
)
def test_no_command_imports_a_service_or_a_database(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    _, modules = imported(tmp_path, *arguments)
    assert not NEVER & modules


def test_a_command_that_talks_to_nobody_imports_no_grpc(tmp_path: Path) -> None:
    _, modules = imported(tmp_path, "context", "list")
    assert "grpc" not in modules
    assert "rich" not in modules
