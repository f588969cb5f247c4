"""The locks install the same bytes everywhere, from whatever index the installer is set to."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUN = PROJECT["dependencies"]
DEV = RUN + PROJECT["optional-dependencies"]["dev"]
LOCKS = [("requirements.lock", RUN), ("requirements-dev.lock", DEV)]


def _entries(lock: str) -> dict[str, tuple[str, int]]:
    """Name to (version, number of hashes)."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    entries: dict[str, tuple[str, int]] = {}
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+)==(\S+)", line):
            entries[canonicalize_name(match[1])] = (match[2], line.count("--hash=sha256:"))
    return entries


@pytest.mark.parametrize(("lock", "wanted"), LOCKS)
def test_a_lock_satisfies_every_dependency_that_the_project_names(
    lock: str, wanted: list[str]
) -> None:
    entries = _entries(lock)
    for requirement in map(Requirement, wanted):
        version, _ = entries[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), (requirement, version)


@pytest.mark.parametrize("lock", [lock for lock, _ in LOCKS])
def test_every_package_of_a_lock_has_a_hash(lock: str) -> None:
    entries = _entries(lock)
    assert entries
    assert [name for name, (_, hashes) in entries.items() if hashes == 0] == []


@pytest.mark.parametrize("lock", [lock for lock, _ in LOCKS])
def test_a_lock_names_no_index_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|file:|@ ", text) == []


def test_the_two_locks_agree() -> None:
    run, dev = _entries("requirements.lock"), _entries("requirements-dev.lock")
    assert {name: dev.get(name) for name in run} == run


def test_the_grpc_family_has_one_version() -> None:
    family = {
        name: version
        for name, (version, _) in _entries("requirements-dev.lock").items()
        if name.startswith("grpcio")
    }
    assert set(family.values()) == {"1.85.1"}
