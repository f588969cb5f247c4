"""The stand-alone verifier, on a real store with one thing wrong in it at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from services.replication.content.digests import LEAF_BYTES, SEGMENT_BYTES, leaf_digest
from services.replication.content.journal import forget_task
from services.replication.content.keys import manifest_key, object_key
from services.replication.content.manifest import Extent, Manifest, Segment, build_manifest
from services.replication.content.refs import BlobRef, VersionRef, commit_blob, commit_version
from services.replication.content.store import Store
from services.replication.content.tombstones import bury
from services.replication.domain.store_urls import parse_store_url
from services.replication.stores.bucket import initialise_bucket, open_client
from services.replication.stores.object_store import ObjectStore
from services.replication.stores.opening import open_store
from services.replication.verifier.reading import (
    BucketContents,
    DirectoryContents,
    open_contents,
)
from services.replication.verifier.verification import Verification
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    files_below,
    ingest,
    local_store,
    make_image,
)
from tests.object_servers import ObjectServer

VERSION = "refs/" + "a" * 32
BLOB = "blobs/" + "b" * 32


@dataclass(frozen=True, slots=True)
class Made:
    """A store with a version of two disks and a blob, and one finished journal."""

    path: Path
    disk: Manifest
    data: Manifest

    def file(self, key: str) -> Path:
        return self.path / key

    def verify(self) -> dict[str, Any]:
        return Verification(DirectoryContents(str(self.path))).run().document()

    def segment(self, position: int = 0) -> str:
        """The key of the object of a segment."""
        return object_key(TENANT, self.disk.segment(position).digest)

    def page(self) -> str:
        return object_key(TENANT, next(iter(self.disk.pages())).digest)

    def manifest(self) -> str:
        return manifest_key(TENANT, self.disk.root)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    path = tmp_path / "store"
    store = local_store(path)
    # Data, a hole, a segment with zero leaves in it, and a short end.
    make_image(tmp_path / "one", 18 * MIB + 5000, [(0, 4 * MIB), (9 * MIB, MIB), (16 * MIB, MIB)])
    make_image(tmp_path / "two", 6 * MIB, [(0, 6 * MIB)], seed=2)
    disk, data = ingest(tmp_path / "one", store), ingest(tmp_path / "two", store, task="other")
    forget_task(store, "ingest")
    commit(store, disk, data)
    store.close()
    return Made(path, disk, data)


def commit(store: Store, disk: Manifest, data: Manifest) -> None:
    roots = {"os": disk.root, "7": data.root}
    commit_version(store, VersionRef("a" * 32, TENANT, 1, "r" * 32, 1, roots))
    commit_blob(store, BlobRef("b" * 32, TENANT, disk.root, disk.header.logical_size))


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def damages(report: dict[str, Any]) -> dict[str, str]:
    return {one["key"]: one["damage"] for one in report["findings"]}


def test_of_a_sound_store_nothing_is_told_but_what_there_is(made: Made) -> None:
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files_below(made.path)}
    report = made.verify()
    assert (report["sound"], report["findings"]) == (True, [])
    counts = report["counts"]
    assert (counts["versionRefs"], counts["blobRefs"], counts["manifests"]) == (1, 1, 2)
    # Four segments of the first disk, two of the second; a page for each disk; one journal.
    assert (counts["segments"], counts["leafPages"], counts["objects"]) == (5, 2, 7)
    assert counts["journals"] == 1
    assert report["replicaId"] == made.file("replica-id").read_text().strip()
    stored = sum(one.stat().st_size for one in files_below(made.path))
    assert report["readBytes"] == stored
    after = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files_below(made.path)}
    assert after == before


@pytest.mark.parametrize("at", [0, -1, LEAF_BYTES + 3])
def test_a_flipped_bit_of_a_segment_is_found_and_who_needs_it(made: Made, at: int) -> None:
    flip(made.file(made.segment()), at)
    report = made.verify()
    assert damages(report) == {made.segment(): "corrupt"}
    assert report["findings"][0]["affects"] == [BLOB, VERSION]


def test_a_flipped_bit_among_zero_leaves_is_found(made: Made) -> None:
    key = made.segment(1)
    assert made.file(key).stat().st_size < SEGMENT_BYTES
    flip(made.file(key), 5)
    assert damages(made.verify()) == {key: "corrupt"}


def test_a_flipped_bit_anywhere_in_a_page_a_manifest_or_a_journal_is_found(made: Made) -> None:
    (journal,) = made.file("journals/other").iterdir()
    needed = {made.page(): [BLOB, VERSION], made.manifest(): [BLOB, VERSION]}
    for key in (*needed, f"journals/other/{journal.name}"):
        file = made.file(key)
        sound = file.read_bytes()
        for at in range(0, len(sound), max(1, len(sound) // 5)):
            flip(file, at)
            (finding,) = made.verify()["findings"]
            assert (finding["key"], finding["damage"]) == (key, "corrupt"), at
            assert finding["affects"] == needed.get(key, [])
            file.write_bytes(sound)
    assert made.verify()["sound"]


def test_a_flipped_bit_in_what_says_what_the_store_is_is_found(made: Made) -> None:
    for key in ("FORMAT", "replica-id"):
        for at in (0, -1):
            sound = made.file(key).read_bytes()
            flip(made.file(key), at)
            # Another digit makes another id, which only who knows the right one can tell.
            identity = sound.decode().strip() if key == "replica-id" else ""
            contents = DirectoryContents(str(made.path))
            report = Verification(contents, replica_id=identity).run()
            assert damages(report.document()) == {key: "corrupt"}
            made.file(key).write_bytes(sound)


@pytest.mark.parametrize("key", [VERSION, BLOB])
def test_a_flipped_bit_in_a_ref_is_found_by_its_form_or_by_what_it_names(
    made: Made, key: str
) -> None:
    text = made.file(key).read_text()
    places = [0, len(text) - 1, text.index('"tenant"'), text.index('"format"')]
    for at in places:
        flip(made.file(key), at)
        assert damages(made.verify()) == {key: "corrupt"}, at
        made.file(key).write_text(text)
    root = made.disk.root.hex()
    other = f"{'1' if root[0] == '0' else '0'}{root[1:]}"
    made.file(key).write_text(text.replace(root, other))
    (finding,) = made.verify()["findings"]
    assert (finding["key"], finding["damage"]) == (f"manifests/{TENANT}/{other}", "missing")
    assert finding["affects"] == [key]


@pytest.mark.parametrize("what", ["segment", "page", "manifest"])
def test_what_is_missing_is_named(made: Made, what: str) -> None:
    key = getattr(made, what)()
    made.file(key).unlink()
    report = made.verify()
    assert damages(report) == {key: "missing"}
    assert report["findings"][0]["affects"] == [BLOB, VERSION]


def test_a_store_without_its_identity_is_damaged(made: Made) -> None:
    made.file("FORMAT").unlink()
    made.file("replica-id").unlink()
    assert damages(made.verify()) == {"FORMAT": "missing", "replica-id": "missing"}


def test_what_is_truncated_or_too_long_is_told_from_what_is_flipped(made: Made) -> None:
    os.truncate(made.file(made.segment()), 2 * MIB)
    os.truncate(made.file(made.page()), 40)
    os.truncate(made.file(manifest_key(TENANT, made.data.root)), 100)
    with made.file(made.segment(1)).open("ab") as file:
        file.write(b"more")
    assert damages(made.verify()) == {
        made.segment(): "truncated",
        made.segment(1): "corrupt",
        made.page(): "truncated",
        manifest_key(TENANT, made.data.root): "corrupt",
    }


def test_what_the_format_does_not_know_is_told(made: Made) -> None:
    strange = {
        "notes.txt": "x",
        "objects/t1/ab/cd/short": "x",
        # In another folder than its name says.
        f"objects/t1/00/00/{'ab' * 32}": "x",
        "refs/UPPER": "x",
        "journals/other/1": "x",
        "quarantine/without-a-time": "x",
    }
    for key, content in strange.items():
        made.file(key).parent.mkdir(parents=True, exist_ok=True)
        made.file(key).write_text(content)
    made.file(f"refs/{'c' * 32}").symlink_to(made.file(VERSION))
    report = made.verify()
    assert damages(report) == dict.fromkeys([*strange, f"refs/{'c' * 32}"], "unknown")


def test_what_is_swept_or_kept_aside_is_no_damage(made: Made) -> None:
    for key in ("tmp/task/attempt/half", f"quarantine/{'ab' * 32}.1700000000000000000"):
        made.file(key).parent.mkdir(parents=True, exist_ok=True)
        made.file(key).write_bytes(b"anything")
    report = made.verify()
    assert report["sound"]
    assert (report["counts"]["temporary"], report["counts"]["quarantined"]) == (1, 1)


def test_lists_of_what_is_to_be_collected_are_read(made: Made) -> None:
    store = open_store(str(made.path))
    bury(store, [made.segment()], lambda: datetime(2026, 1, 31, tzinfo=UTC))
    store.close()
    (name,) = made.file("tombstones").iterdir()
    assert made.verify()["sound"]
    flip(name, 3)
    assert damages(made.verify()) == {f"tombstones/{name.name}": "corrupt"}


def test_what_no_ref_names_is_read_too(made: Made) -> None:
    made.file(VERSION).unlink()
    made.file(BLOB).unlink()
    assert made.verify()["sound"]
    flip(made.file(made.segment()))
    assert damages(made.verify()) == {made.segment(): "corrupt"}
    # Without a manifest what a full segment, a page and a journalled segment are tells their name;
    # where zero leaves were in the others nobody can tell any more.
    flip(made.file(made.segment()))
    made.file(made.manifest()).unlink()
    made.file(manifest_key(TENANT, made.data.root)).unlink()
    report = made.verify()
    assert report["sound"]
    counts = report["counts"]
    assert counts["unreferenced"] + counts["unproven"] == counts["objects"]
    assert counts["unproven"] == 2


def test_extents_into_other_objects_are_followed(made: Made, tmp_path: Path) -> None:
    """A manifest whose segments lie in one object, as the format allows it."""
    segments = list(made.disk.segments())
    pack = b"".join(made.file(object_key(TENANT, one.digest)).read_bytes() for one in segments)
    name = leaf_digest(pack)
    moved, at = [], 0
    for one in segments:
        extents = (Extent(name, at, one.packed_length),)
        moved.append(Segment(one.index, one.digest, one.packed_length, extents))
        at += one.packed_length
        made.file(object_key(TENANT, one.digest)).unlink()
    manifest = build_manifest(made.disk.header, moved, list(made.disk.pages()))
    assert manifest.root == made.disk.root
    made.file(made.manifest()).write_bytes(manifest.data)
    key = object_key(TENANT, name)
    made.file(key).parent.mkdir(parents=True)
    made.file(key).write_bytes(pack)
    assert made.verify()["sound"]
    flip(made.file(key), segments[0].packed_length + 1)
    assert damages(made.verify()) == {key: "corrupt"}
    flip(made.file(key), segments[0].packed_length + 1)
    os.truncate(made.file(key), len(pack) - 1)
    assert damages(made.verify()) == {key: "truncated"}


def test_leaves_that_are_not_those_of_the_segment_are_the_pages_fault(made: Made) -> None:
    """A page that hashes to its name, and lists something else than the manifest says."""
    foreign = next(iter(made.data.pages()))
    manifest = build_manifest(made.disk.header, made.disk.segments(), [foreign])
    made.file(made.manifest()).write_bytes(manifest.data)
    report = made.verify()
    assert damages(report) == {object_key(TENANT, foreign.digest): "corrupt"}


def test_a_ref_that_tells_another_size_or_name_is_damaged(made: Made) -> None:
    document = json.loads(made.file(BLOB).read_text())
    document["logicalSize"] += 1
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    made.file(BLOB).write_text(text + "\n")
    made.file(VERSION).rename(made.file(f"refs/{'d' * 32}"))
    assert damages(made.verify()) == {BLOB: "corrupt", f"refs/{'d' * 32}": "corrupt"}


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.replication.verifier", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_a_program_of_its_own(made: Made, tmp_path: Path) -> None:
    done = run(str(made.path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sound"] is True
    flip(made.file(made.segment()))
    done = run(made.path.as_uri())
    assert done.returncode == 1
    assert damages(json.loads(done.stdout)) == {made.segment(): "corrupt"}
    done = run(str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert "is no directory" in done.stderr
    assert run("ftp://somewhere/else").returncode == 2


def test_what_cannot_be_read_is_told(made: Made) -> None:
    made.file(made.manifest()).unlink()
    made.file(made.manifest()).mkdir()
    report = made.verify()
    assert damages(report) == {made.manifest(): "unreadable"}
    assert report["findings"][0]["affects"] == [BLOB, VERSION]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket with a store in it, and how it is verified."""

    client: Any
    verify: Callable[[], dict[str, Any]]


@pytest.fixture(params=["memory", "s3", "azure"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "memory":
        client: Any = MemoryStore()
        initialise_bucket(client, "memory://")
        store: Store = ObjectStore(client, "memory://")
        contents: Any = BucketContents(client, "memory://")
    else:
        server: ObjectServer = request.getfixturevalue(request.param)
        url = server.url()
        address = parse_store_url(url)
        client = open_client(address.url, address.options)
        initialise_bucket(client, address.url)
        store = ObjectStore(client, address.url)
        contents = open_contents(url)
        assert contents.address == address.url
    make_image(tmp_path / "image", 6 * MIB, [(0, 5 * MIB)])
    disk = ingest(tmp_path / "image", store)
    forget_task(store, "ingest")
    commit(store, disk, disk)
    return Bucket(client, lambda: Verification(contents).run().document())


def test_a_bucket_is_verified_by_the_same_keys(bucket: Bucket) -> None:
    client, verify = bucket.client, bucket.verify
    report = verify()
    assert report["sound"], report
    assert report["counts"]["segments"] == 2
    listed = [item["path"] for batch in obstore.list(client, "objects") for item in batch]
    key = max(listed, key=lambda one: obstore.head(client, one)["size"])
    content = bytearray(obstore.get(client, key).bytes())
    content[100] ^= 1
    obstore.put(client, key, bytes(content))
    assert damages(verify()) == {key: "corrupt"}
    obstore.put(client, key, bytes(content[:-1]))
    assert damages(verify()) == {key: "truncated"}
    obstore.delete(client, key)
    assert damages(verify()) == {key: "missing"}
