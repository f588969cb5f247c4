"""What holds of every format with a table of blocks, however the file is made."""

import functools
import random
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from services.replication.content.block_disk import BlockDisk
from services.replication.content.errors import SourceFormatInvalid, SourceReferenceRefused
from services.replication.content.qcow2 import Qcow2
from services.replication.content.vhd_dynamic import DynamicVhd
from services.replication.content.vhdx import Vhdx
from services.replication.content.vmdk import Vmdk
from tests.disk_files import dynamic_vhd, patched, qcow2, sparse_vmdk, stream_vmdk, vhdx
from tests.disk_files.memory import MemoryFile

MIB = 1 << 20


def some_disk() -> bytes:
    """9 MiB: noise, text in the middle of a sector, noise to the very end, and holes between."""
    noise = random.Random(1)
    disk = bytearray(9 * MIB)
    disk[:100_000] = noise.randbytes(100_000)
    disk[3 * MIB + 300 : 3 * MIB + 9_300] = b"text " * 1_800
    disk[-512:] = noise.randbytes(512)
    return bytes(disk)


DISK = some_disk()
CASES: list[tuple[str, type[BlockDisk], Callable[[], bytes], int]] = [
    ("qcow2", Qcow2, lambda: qcow2(DISK), 1 << 16),
    ("qcow2 version 2", Qcow2, lambda: qcow2(DISK, version=2, cluster_bits=12), 1 << 12),
    ("qcow2 compressed", Qcow2, lambda: qcow2(DISK, compressed=True), 1 << 16),
    ("qcow2 tiny", Qcow2, lambda: qcow2(DISK, compressed=True, cluster_bits=9), 1 << 9),
    ("dynamic vhd", DynamicVhd, lambda: dynamic_vhd(DISK), 2 * MIB),
    ("dynamic vhd tiny", DynamicVhd, lambda: dynamic_vhd(DISK, block=4096), 4096),
    ("vhdx", Vhdx, lambda: vhdx(DISK), MIB),
    ("vhdx large", Vhdx, lambda: vhdx(DISK, block=2 * MIB, sector=4096), 2 * MIB),
    ("vmdk", Vmdk, lambda: sparse_vmdk(DISK), 1 << 16),
    ("vmdk stream", Vmdk, lambda: stream_vmdk(DISK), 1 << 16),
]
FORMATS = pytest.mark.parametrize(
    ("reader", "make", "block"),
    [(reader, functools.cache(make), block) for _, reader, make, block in CASES],
    ids=[case[0] for case in CASES],
)
Reader = Callable[[MemoryFile], BlockDisk]
Make = Callable[[], bytes]


def content(disk: BlockDisk, begin: int = 0, end: int | None = None) -> bytes:
    found = bytearray(b"\xaa" * ((disk.size if end is None else end) - begin))
    disk.read_into(begin, memoryview(found))
    return bytes(found)


@FORMATS
def test_the_disk_is_what_the_guest_sees(reader: Reader, make: Make, block: int):
    disk = reader(MemoryFile(make()))
    assert disk.size == len(DISK)
    assert content(disk) == DISK


@FORMATS
def test_any_range_can_be_read(reader: Reader, make: Make, block: int):
    disk = reader(MemoryFile(make()))
    pick = random.Random(2)
    for _ in range(50):
        begin = pick.randrange(len(DISK))
        end = min(begin + pick.choice([0, 1, 511, 70_000, 3 * MIB]), len(DISK))
        assert content(disk, begin, end) == DISK[begin:end]


@FORMATS
def test_holes_stay_holes(reader: Reader, make: Make, block: int):
    file = MemoryFile(make())
    disk = reader(file)
    expected = {at // block for at in range(0, len(DISK), 512) if any(DISK[at : at + 512])}
    before = file.read_bytes
    found: set[int] = set()
    last = -1
    for begin, end in disk.extents(0):
        assert last < begin < end <= disk.size
        last = end
        found.update(range(begin // block, -(-end // block)))
    assert found == expected
    # Only tables are read for it.
    assert file.read_bytes - before < MIB
    begin = 3 * MIB + 512
    assert next(iter(disk.extents(begin)))[0] == begin


@FORMATS
def test_the_pin_names_the_format_and_the_file(reader: Reader, make: Make, block: int):
    assert reader(MemoryFile(make())).pin.endswith(" memory")


@FORMATS
def test_a_file_that_is_cut_short_is_refused(reader: Reader, make: Make, block: int):
    file = make()
    cut = random.Random(3)
    # Behind that may lie what only a writer needs.
    lengths = [0, 1, 511, *(cut.randrange(len(file) // 2) for _ in range(20))]
    for length in lengths:
        with pytest.raises(SourceFormatInvalid):
            walk(reader, MemoryFile(file[:length]))


@FORMATS
def test_no_damage_does_more_than_to_be_refused(reader: Reader, make: Make, block: int):
    """Each damaged file is read as some disk or refused; nothing is read behind its end."""
    file = make()
    pick = random.Random(4)
    # Where files of these formats have their headers and tables.
    places = [0, 512, 1024, 64 << 10, 128 << 10, 192 << 10, 2 * MIB, 2 * MIB + 65_536, 3 * MIB]
    places = [place for place in places if place < len(file)] + [len(file) - 1536]
    for _ in range(60):
        damaged = bytearray(file)
        for _ in range(pick.randint(1, 4)):
            at = min(pick.choice(places) + pick.randrange(600), len(file) - 1)
            damaged[at] = pick.choice([0, 1, 0x7F, 0x80, 0xFF, pick.randrange(256)])
        source = MemoryFile(bytes(damaged))
        try:
            walk(reader, source)
        except (SourceFormatInvalid, SourceReferenceRefused):
            continue
        finally:
            assert source.largest <= 4 * MIB


def walk(reader: Reader, source: MemoryFile) -> None:
    """Read what a copy reads, but no more than the first extents of a huge disk."""
    disk = reader(source)
    left = 16
    for begin, end in disk.extents(0):
        for at in range(begin, end, 4 * MIB):
            left -= 1
            if not left:
                return
            content(disk, at, min(at + 4 * MIB, end))


def test_tables_of_the_same_block_end_where_the_file_could_hold_no_more():
    """A file of a few MiB that speaks of 1 TiB of data, all in one block."""
    disk = b"x" * MIB
    file = vhdx(disk, size=1 << 40)
    entry = file[3 * MIB : 3 * MIB + 8]
    # After 4096 blocks of 1 MiB the table has an entry for a bitmap.
    table = (entry * 4096 + bytes(8)) * 256
    source = MemoryFile(patched(file, 3 * MIB, table))
    extents = Vhdx(source).extents(0)
    with pytest.raises(SourceFormatInvalid, match="more than once"):
        list(extents)
    assert source.read_bytes < 2 * MIB


def test_a_table_that_is_its_own_block_is_read_as_bytes():
    """Loops lead nowhere: what is in a block is never taken for a table."""
    file = qcow2(DISK)
    own = (1 << 16) | 1 << 63
    table = int.from_bytes(file[1 << 16 : (1 << 16) + 8], "big") & ~(1 << 63)
    looped = patched(file, table, own.to_bytes(8, "big"))
    assert content(Qcow2(MemoryFile(looped)), 0, 1 << 16) == looped[1 << 16 : 2 << 16]
    looped = patched(file, 1 << 16, own.to_bytes(8, "big"))
    assert content(Qcow2(MemoryFile(looped)), 0, 1 << 16) == looped[1 << 16 : 2 << 16]


def test_a_huge_disk_costs_only_what_its_tables_hold():
    """32 TiB with one cluster: nothing but a few pages of tables is kept or read."""
    size = 32 << 40
    file = qcow2(DISK, size=size)
    source = MemoryFile(file)
    disk = Qcow2(source)
    assert disk.size == size
    extents = list(disk.extents(0))
    assert extents[-1][1] <= len(DISK)
    assert source.read_bytes < 2 * MIB


def test_large_tables_are_never_held_whole():
    """A directory of 64 MiB, all of it walked, in pages of which few are kept."""
    file = sparse_vmdk(bytes(MIB))
    capacity = (512 << 40) // 512
    behind = -(-len(file) // 512)
    file = patched(patched(file, 12, struct.pack("<Q", capacity)), 56, struct.pack("<Q", behind))
    source = MemoryFile(file, size=behind * 512 + 64 * MIB)
    disk = Vmdk(source)
    tracemalloc.start()
    try:
        assert list(disk.extents(0)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert source.read_bytes > 64 * MIB
    assert source.largest <= 32 << 10
    assert peak < 8 * MIB
