"""docs/reference/store-format.md is what a store is: a reader made from it reads one."""

import json
import re
from pathlib import Path

import pytest

from services.replication.content.digests import leaf_digest
from services.replication.content.journal import forget_task
from services.replication.content.keys import manifest_key, object_key, split_key
from services.replication.content.manifest import (
    Extent,
    Manifest,
    Segment,
    build_manifest,
)
from services.replication.content.refs import BlobRef, VersionRef, commit_blob, commit_version
from services.replication.verifier.reading import DirectoryContents
from services.replication.verifier.shapes import Shape, shape_of
from services.replication.verifier.verification import Verification
from tests.integration.replication.data.format_document import DOCUMENT, Format, Reader
from tests.integration.replication.data.samples import (
    MIB,
    TENANT,
    files_below,
    ingest,
    local_store,
    make_image,
    replicate,
)

SIZE = 1030 * MIB + 777


@pytest.fixture(scope="module")
def document() -> Format:
    return Format(DOCUMENT.read_text())


class Made:
    """A store with a disk that has two leaf pages, holes, zero leaves and a short end."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "image"
        extents = [(0, 5 * MIB), (9 * MIB + 70_000, 300_000), (1028 * MIB, 3 * MIB)]
        make_image(self.image, SIZE, extents)
        self.path = folder / "store"
        store = local_store(self.path)
        self.manifest = ingest(self.image, store)
        roots = {"os": self.manifest.root, "3": self.manifest.root}
        commit_version(store, VersionRef("a" * 32, TENANT, 2, "r" * 32, 5, roots))
        commit_blob(store, BlobRef("b" * 32, TENANT, self.manifest.root, SIZE))
        self.journals = [one.read_bytes() for one in files_below(self.path / "journals")]
        forget_task(store, "ingest")
        store.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("format"))


def same(disk: tuple[int, dict[int, bytes]], image: Path) -> bool:
    """Whether a disk that was read is the one in a file; what is not told is zero."""
    size, segments = disk
    hole = bytes(4 * MIB)
    with image.open("rb") as file:
        for index in range(-(-size // len(hole))):
            piece = file.read(len(hole))
            nothing = hole if len(piece) == len(hole) else bytes(len(piece))
            if piece != segments.get(index, nothing):
                return False
        return file.tell() == size


def test_a_reader_made_from_the_document_reads_a_disk(made: Made, document: Format) -> None:
    assert len(list(made.manifest.pages())) == 2
    disk = Reader(made.path, document).disk(TENANT, made.manifest.root.hex())
    assert same(disk, made.image)


def test_it_reads_segments_that_lie_in_other_objects(made: Made, document: Format) -> None:
    manifest = packed(made)
    file = made.path / manifest_key(TENANT, manifest.root)
    plain = file.read_bytes()
    file.write_bytes(manifest.data)
    try:
        disk = Reader(made.path, document).disk(TENANT, manifest.root.hex())
    finally:
        file.write_bytes(plain)
    assert same(disk, made.image)


def packed(made: Made) -> Manifest:
    """A manifest of the same content, whose first segment is in two parts of one object."""
    first, *others = made.manifest.segments()
    data = (made.path / object_key(TENANT, first.digest)).read_bytes()
    half = 2 * MIB
    pack = b"before" + data[half:] + data[:half]
    name = leaf_digest(pack)
    file = made.path / object_key(TENANT, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pack)
    behind = len(data) - half
    extents = (Extent(name, 6 + behind, half), Extent(name, 6, behind))
    moved = Segment(first.index, first.digest, first.packed_length, extents)
    return build_manifest(made.manifest.header, [moved, *others], list(made.manifest.pages()))


def test_it_reads_what_a_copy_by_leaves_has_left(document: Format, tmp_path: Path) -> None:
    stores = local_store(tmp_path / "first"), local_store(tmp_path / "second")
    old, new = tmp_path / "old", tmp_path / "new"
    make_image(old, 9 * MIB, [(0, 9 * MIB)])
    content = bytearray(old.read_bytes())
    content[MIB] ^= 1
    content[5 * MIB] ^= 1
    new.write_bytes(content)
    base = replicate(ingest(old, stores[0]), *stores)
    after = ingest(new, stores[0], task="new")
    done = replicate(after, *stores, task="again", base=base)
    assert any(not one.is_plain for one in done.segments())
    reader = Reader(tmp_path / "second", document)
    for image, manifest in ((old, base), (new, done)):
        assert same(reader.disk(TENANT, manifest.root.hex()), image)
    journals = files_below(tmp_path / "second" / "journals" / "again")
    entries = [one for file in journals for one in reader.journal(file.read_bytes())[1]]
    assert [entry["segment index"] for entry, _ in entries] == [0, 1, 2]
    verify = Verification(DirectoryContents(str(tmp_path / "second")))
    assert verify.run().is_sound
    pack = next(one for one in done.segments() if not one.is_plain)
    flipped = tmp_path / "second" / object_key(TENANT, pack.extents[1].digest)
    damaged = bytearray(flipped.read_bytes())
    damaged[pack.extents[1].offset] ^= 1
    flipped.write_bytes(damaged)
    report = Verification(DirectoryContents(str(tmp_path / "second"))).run()
    assert set(report.findings) == {str(flipped.relative_to(tmp_path / "second"))}


def test_it_reads_journals(made: Made, document: Format) -> None:
    reader = Reader(made.path, document)
    end, seen = 0, []
    for data in made.journals:
        head, entries = reader.journal(data)
        assert head["first segment of the window"] == end
        end = head["first segment after the window"]
        subject = head["subject"]
        for entry, digests in entries:
            seen.append((entry["segment index"], entry["segment digest"]))
            assert len(digests) == -(-entry["length of the segment"] // 65536)
    assert end == -(-SIZE // (4 * MIB))
    assert len(subject) == 32
    assert seen == [(one.index, one.digest) for one in made.manifest.segments()]


def test_what_says_what_a_store_is_reads_as_the_document_has_it(
    made: Made, document: Format
) -> None:
    assert (made.path / "FORMAT").read_text() == document.code("FORMAT") + "\n"
    assert re.fullmatch("[0-9a-f]{32}\n", (made.path / "replica-id").read_text())
    version, blob = document.examples("Refs")
    for example, key in ((version, f"refs/{'a' * 32}"), (blob, f"blobs/{'b' * 32}")):
        text = (made.path / key).read_text()
        found = json.loads(text)
        assert set(found) == set(example)
        assert text == json.dumps(found, sort_keys=True, separators=(",", ":")) + "\n"
    found = json.loads((made.path / f"refs/{'a' * 32}").read_text())
    root = made.manifest.root.hex()
    assert found["disks"] == {"os": root, "3": root}


def test_every_file_of_a_store_has_a_key_of_the_document(made: Made, document: Format) -> None:
    known = [pattern(key) for key in document.known_keys()]
    assert len(known) >= 10
    for file in files_below(made.path):
        key = str(file.relative_to(made.path))
        assert any(one.fullmatch(key) for one in known), key


def test_the_verifier_knows_the_keys_of_the_document_and_no_others(document: Format) -> None:
    shapes = {shape_of(example(key)) for key in document.known_keys()}
    assert shapes == set(Shape) - {Shape.UNKNOWN}


PARTS = {
    "tenant": TENANT,
    "ab": "12",
    "cd": "34",
    "digest": "1234" + "0" * 60,
    "root": "ab" * 32,
    "version uid": "a" * 32,
    "blob uid": "b" * 32,
    "task": "task.os",
    "sequence": "0000001f",
    "name": "ab" * 32,
    "time": "1700000000000000000",
    "attempt": "c" * 32,
    "list": "d" * 32,
}


def example(key: str) -> str:
    found = re.sub("<([a-z ]+)>", lambda one: PARTS[one[1]], key).replace("...", "half")
    if found != "FORMAT":
        split_key(found)
    return found


def pattern(key: str) -> re.Pattern[str]:
    escaped = re.escape(key).replace(r"\.\.\.", ".+")
    return re.compile(re.sub(r"<[a-z\\ ]+>", "[a-z0-9][a-z0-9._-]{0,127}", escaped))
