"""The demo as a new user runs it: real services, real disks, real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(400)


def demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STOA_")}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=kept | {"TMPDIR": str(folder)},
        text=True,
        timeout=390,
    )


def tree() -> str:
    """The files of the source tree that git does not know."""
    command = ["git", "ls-files", "--others", "--exclude-standard"]
    return subprocess.run(command, capture_output=True, check=False, cwd=ROOT, text=True).stdout


def processes_in(folder: Path) -> list[str]:
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True, text=True)
    return [line for line in found.stdout.splitlines() if str(folder) in line]


def test_the_demo_does_the_main_job_and_leaves_nothing(tmp_path: Path) -> None:
    before = tree()
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The digests are equal." in done.stdout
    assert done.stdout.count("  published ") == 2
    for region in ("eastus", "westus", "northeurope"):
        lines = [line for line in done.stderr.splitlines() if line.startswith(region)]
        assert any("Completed" in line for line in lines)
        assert any(" of " in line and "/s" in line for line in lines), lines
    assert "grpcurl -plaintext 127.0.0.1:7401 list" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []
    assert tree() == before


def test_it_takes_an_image_of_the_user(tmp_path: Path) -> None:
    image = tmp_path / "mine.img"
    with image.open("wb") as stream:
        stream.truncate(40 * 1024 * 1024)
        stream.seek(7 * 1024 * 1024)
        stream.write(os.urandom(3 * 1024 * 1024))
    done = demo(tmp_path, "--image", str(image))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "your image, 40.0 MiB, of which 3.0 MiB are not zero" in done.stdout
    assert "The digests are equal." in done.stdout
    assert list(tmp_path.iterdir()) == [image]


def test_an_image_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = demo(tmp_path, "--image", str(tmp_path / "nothing.img"))
    assert done.returncode == 2
    assert "nothing.img" in done.stderr
    assert list(tmp_path.iterdir()) == []
