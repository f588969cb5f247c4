"""Clients in other languages, made by buf from the same protos: they publish, watch and read."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.disks import Disk, sparse
from tests.system.installation import Installation
from tests.system.publishing import Shop, make_shop

# The first build fetches and compiles what the clients stand on.
pytestmark = pytest.mark.timeout(600)

EXAMPLES = Path(__file__).parents[2] / "examples"
REGIONS = ("eastus", "westus")


@pytest.fixture(scope="module")
def shop(installation: Installation) -> Shop:
    return make_shop(installation.client())


@pytest.fixture(scope="module")
def disk() -> Disk:
    return sparse(24, 5, 71)


@pytest.mark.needs_tool("go")
def test_the_client_in_go_publishes_watches_resumes_and_reads(
    installation: Installation, shop: Shop, disk: Disk, tmp_path: Path
) -> None:
    program = tmp_path / "client"
    build("go", ["buf", "generate"], ["go", "build", "-o", str(program), "."])
    publish(installation, shop, disk, tmp_path, "4.0.0", str(program))


@pytest.mark.needs_tool("node", "npm")
def test_the_client_in_typescript_publishes_watches_resumes_and_reads(
    installation: Installation, shop: Shop, disk: Disk, tmp_path: Path
) -> None:
    build("typescript", ["npm", "ci"], ["npm", "run", "generate"], ["npm", "run", "build"])
    main = EXAMPLES / "typescript" / "dist" / "src" / "main.js"
    publish(installation, shop, disk, tmp_path, "5.0.0", "node", str(main))


def build(language: str, *commands: list[str]) -> None:
    """Run what a client is built with, with the buf of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        done = subprocess.run(
            command,
            cwd=EXAMPLES / language,
            capture_output=True,
            check=False,
            env=os.environ | {"PATH": path},
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def publish(
    installation: Installation,
    shop: Shop,
    disk: Disk,
    folder: Path,
    version: str,
    *program: str,
) -> None:
    """Run a client, and hold what it printed against the disk that it was given."""
    path = folder / "disk.raw"
    path.write_bytes(disk.content)
    arguments = {
        "--definition": shop.definition,
        "--version": version,
        "--regions": ",".join(REGIONS),
    }
    endpoints = installation.view.endpoints
    done = subprocess.run(
        [*program, *(word for pair in arguments.items() for word in pair), str(path)],
        capture_output=True,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "STOA_TOKEN": installation.token(),
            "STOA_CATALOG_ENDPOINT": endpoints["catalog"],
            "STOA_REPLICATION_ENDPOINT": endpoints["replication"],
        },
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    half = disk.size // 2
    assert lines[0] == f"upload goes on at {half} of {disk.size} B"
    assert any(line.startswith("watch goes on after ") for line in lines)
    sequences = [int(line.split()[0]) for line in lines if line[:4].strip().isdigit()]
    assert sequences == sorted(set(sequences))
    assert [line.split()[1:] for line in lines].count(["ended:", "COMPLETED"]) == 1
    name = f"{shop.definition}/versions/{version}"
    assert lines[-1] == f"published {name}, sha256 {hashlib.sha256(disk.content).hexdigest()}"
