"""What the tests of the data plane ask of the machine."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tiny(tmp_path: Path, needs_tool: Callable[[str], str]) -> Iterator[Path]:
    """A file system of 6 MiB."""
    mount = needs_tool("mount")
    point = tmp_path / "tiny"
    point.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(point)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"this user may not mount a tmpfs: {done.stderr.strip()}")
    yield point
    subprocess.run([needs_tool("umount"), str(point)], check=True)
