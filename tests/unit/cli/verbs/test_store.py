"""`stoa store verify` on real directories."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.replication.content.journal import forget_task
from services.replication.content.refs import VersionRef, commit_version
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    ingest,
    local_store,
    make_image,
)

Stoa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one version in it."""
    found = tmp_path / "store"
    store = local_store(found)
    make_image(tmp_path / "image", 2 * MIB, [(0, 2 * MIB)])
    disk = ingest(tmp_path / "image", store)
    forget_task(store, "ingest")
    commit_version(store, VersionRef("a" * 32, TENANT, 1, "r" * 32, 1, {"os": disk.root}))
    store.close()
    return found


def largest(path: Path) -> Path:
    return max(path.rglob("objects/**/*"), key=lambda one: one.stat().st_size)


def test_a_sound_store_ends_with_0_and_says_what_was_read(stoa: Stoa, path: Path) -> None:
    code, out, err = stoa("store", "verify", str(path), "-o", "table")
    assert (code, out) == (0, "")
    assert "1 versions, 0 blobs, 1 manifests, 2 objects, 2.0 MiB read: nothing is wrong." in err
    code, out, _ = stoa("store", "verify", str(path), "--json")
    assert code == 0
    assert json.loads(out)["sound"] is True


def test_damage_ends_with_1_and_is_named(
    stoa: Stoa, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = largest(path)
    content = bytearray(bad.read_bytes())
    content[MIB] ^= 8
    bad.write_bytes(content)
    monkeypatch.chdir(path.parent)
    code, out, err = stoa("store", "verify", "store", "-o", "table")
    assert code == 1
    assert "1 damaged" in err
    assert bad.name in out
    assert f"refs/{'a' * 32}" in out
    for how in (("--json",), ("-o", "json")):
        code, out, _ = stoa("store", "verify", path.as_uri(), *how)
        assert code == 1
        (found,) = json.loads(out)["findings"]
        assert (found["damage"], found["key"]) == ("corrupt", str(bad.relative_to(path)))


def test_a_store_that_is_another_one_is_damage(stoa: Stoa, path: Path) -> None:
    own = (path / "replica-id").read_text().strip()
    assert stoa("store", "verify", str(path), "--replica-id", own)[0] == 0
    code, out, _ = stoa("store", "verify", str(path), "--replica-id", "f" * 32, "--json")
    assert code == 1
    assert json.loads(out)["findings"][0]["key"] == "replica-id"


def test_what_is_no_store_cannot_be_verified(stoa: Stoa, tmp_path: Path) -> None:
    code, _, err = stoa("store", "verify", str(tmp_path / "nowhere"))
    assert code == 1
    assert "is no directory" in err
    code, out, _ = stoa("store", "verify", str(tmp_path), "--json")
    assert code == 1
    missing = {one["key"] for one in json.loads(out)["findings"] if one["damage"] == "missing"}
    assert missing == {"FORMAT", "replica-id"}
