import shutil
import tarfile
from pathlib import Path

import pytest

from cli.demo import disks
from cli.errors import UsageProblem
from cli.transfer.sparse import pieces

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "OS_DISK_BYTES", 48 * MIB)
    monkeypatch.setattr(disks, "_OS_CONTENT", 2 * MIB)


def test_a_partitioned_disk_holds_an_archive_of_files_behind_its_table(tmp_path: Path) -> None:
    path = tmp_path / "data.img"
    disks.make_partitioned(path, 32 * MIB, MIB)
    content = path.read_bytes()
    assert len(content) == 32 * MIB
    assert content[510:512] == b"\x55\xaa"
    first = int.from_bytes(content[454:458], "little")
    count = int.from_bytes(content[458:462], "little")
    assert (first + count) * 512 == 32 * MIB
    with path.open("rb") as stream:
        stream.seek(first * 512)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            sizes = [member.size for member in archive]
    assert sum(sizes) >= MIB
    with path.open("rb") as stream:
        assert len(list(pieces(stream.fileno(), 32 * MIB))) > 2


def test_without_mke2fs_the_os_disk_is_a_partitioned_one_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    disk = disks.make_os_disk(tmp_path / "os.img")
    assert "no mke2fs" in disk.what
    assert disk.size == 48 * MIB
    assert 2 * MIB <= disk.data < disk.size


def test_an_mke2fs_that_fails_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/bin/false")
    disk = disks.make_os_disk(tmp_path / "os.img")
    assert "mke2fs failed" in disk.what
    assert not (tmp_path / "os.img.files").exists()


def test_with_mke2fs_it_is_a_file_system_with_holes(tmp_path: Path) -> None:
    disk = disks.make_os_disk(tmp_path / "os.img")
    if "ext4" not in disk.what:
        pytest.skip(f"mke2fs is not installed on this machine: {disk.what}")
    content = disk.path.read_bytes()
    assert content[1024 + 56 : 1024 + 58] == b"\x53\xef"
    assert 2 * MIB <= disk.data < disk.size == 48 * MIB


def test_an_image_that_is_not_raw_is_refused_with_the_command_that_makes_it_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"QFI\xfb" + bytes(100))
    with pytest.raises(UsageProblem) as caught:
        disks.described(path, "your image")
    assert "qemu-img convert -O raw" in caught.value.todo


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"abc")
    known = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    assert disks.described(path, "").blake3 == known
