"""Disks in files of other formats, from upload to pull, by the command and in every format."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.replication.content.qcow2 import Qcow2
from services.replication.content.source import FileSource, Source
from services.replication.content.vhd import FixedVhd
from tests.disk_files import dynamic_vhd, qcow2, stream_vmdk, vhdx
from tests.system.disks import MIB, Disk, sparse
from tests.system.installation import Installation
from tests.system.publishing import Shop, make_shop, unique

pytestmark = pytest.mark.timeout(300)
LEAF = 64 * 1024


@pytest.fixture
def shop(installation: Installation) -> Shop:
    return make_shop(installation.client())


def options(shop: Shop) -> tuple[str, ...]:
    _, _, _, group, _, gallery, _, name = shop.definition.split("/")
    return "-g", group, "-r", gallery, "-i", name


def upload(installation: Installation, shop: Shop, path: Path, form: str) -> str:
    blob = unique("format")
    installation.stoa(
        *("blob", "upload", *options(shop)[:2], "-n", blob, "-l", "eastus"),
        *("-f", str(path), "--format", form),
    )
    return blob


def test_disks_of_every_format_are_published_and_pulled_in_others(
    installation: Installation, shop: Shop, tmp_path: Path
) -> None:
    os = sparse(12, 5, seed=1)
    data = [sparse(9, 3, seed=seed) for seed in (2, 3, 4)]
    makers: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("qcow2", qcow2),
        ("vhdx", vhdx),
        ("vhd_dynamic", dynamic_vhd),
        ("vmdk", stream_vmdk),
    ]
    blobs = []
    for (form, make), disk in zip(makers, (os, *data), strict=True):
        path = tmp_path / f"uploaded.{form}"
        path.write_bytes(make(disk.content))
        blobs.append(upload(installation, shop, path, form))
    installation.stoa(
        *("image-version", "create", *options(shop), "-e", "1.0.0", "--os-blob", blobs[0]),
        *("--data-blobs", *(f"{lun}={blob}" for lun, blob in enumerate(blobs[1:]))),
        *("--target-regions", "eastus", "westus"),
    )

    for form, suffix in (("raw", ".img"), ("vhd", ".vhd"), ("qcow2", ".qcow2")):
        folder = tmp_path / form
        told = installation.stoa(
            *("image-version", "pull", *options(shop), "-e", "1.0.0", "-l", "westus"),
            *("--directory", str(folder), "--format", form, "-o", "json"),
        )
        expected = {"os": os, **{str(lun): disk for lun, disk in enumerate(data)}}
        rows = {row["disk"]: row for row in json.loads(told.stdout)}
        assert rows.keys() == expected.keys()
        files = {"os" + suffix, *(f"lun{lun}{suffix}" for lun in range(3))}
        assert {one.name for one in folder.iterdir()} == files
        for name, disk in expected.items():
            # What is verified and told is the disk, in whatever file it comes.
            assert rows[name]["blake3"] == disk.digest
            assert rows[name]["sizeBytes"] == str(disk.size)
            assert content(Path(rows[name]["file"]), form) == disk


def test_an_older_version_here_is_the_seed_of_a_newer_one(
    installation: Installation, shop: Shop, tmp_path: Path
) -> None:
    """In whatever format it was pulled; the service is asked for the leaves that changed."""
    older = sparse(12, 5, seed=6).content
    at = older.index(next(byte for byte in older if byte))
    newer = bytearray(older)
    newer[at] ^= 1
    for number, disk in (("1.0.0", older), ("2.0.0", bytes(newer))):
        path = tmp_path / f"{number}.raw"
        path.write_bytes(disk)
        blob = upload(installation, shop, path, "raw")
        installation.stoa(
            *("image-version", "create", *options(shop), "-e", number, "--os-blob", blob),
            *("--target-regions", "eastus"),
        )
    pull = ("image-version", "pull", *options(shop), "-l", "eastus", "-o", "json")
    for form in ("raw", "qcow2"):
        seed = tmp_path / f"seed.{form}"
        installation.stoa(*pull, "-e", "1.0.0", "-f", str(seed), "--format", form)
        target = tmp_path / f"{form}.img"
        told = installation.stoa(*pull, "-e", "2.0.0", "-f", str(target), "--seed", str(seed))
        (row,) = json.loads(told.stdout)
        assert target.read_bytes() == newer
        assert row["verified"] is True
        data = sum(any(newer[i : i + LEAF]) for i in range(0, len(newer), LEAF))
        assert int(row["seededBytes"]) == (data - 1) * LEAF


def test_the_size_that_counts_is_the_one_that_the_guest_sees(
    installation: Installation, shop: Shop, tmp_path: Path
) -> None:
    path = tmp_path / "huge.qcow2"
    path.write_bytes(qcow2(sparse(2, 1, seed=5).content, size=33 << 40))
    assert path.stat().st_size < 4 * MIB
    blob = upload(installation, shop, path, "qcow2")
    refused = installation.stoa(
        *("image-version", "create", *options(shop), "-e", "1.0.0", "--os-blob", blob),
        *("--target-regions", "eastus"),
        check=False,
    )
    assert refused.returncode != 0
    assert "SOURCE_TOO_LARGE" in refused.stderr


def content(path: Path, form: str) -> Disk:
    """The disk in a pulled file."""
    file = FileSource(str(path))
    disk: Source = file
    if form == "vhd":
        disk = FixedVhd(file)
    elif form == "qcow2":
        disk = Qcow2(file)
    found = bytearray(disk.size)
    disk.read_into(0, memoryview(found))
    file.close()
    return Disk(bytes(found))
