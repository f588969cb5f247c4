"""What each format refuses by its own rules, and says of it."""

import random
import struct
import zlib
from collections.abc import Callable

import pytest

from services.replication.content.block_disk import BlockDisk
from services.replication.content.crc32c import crc32c
from services.replication.content.errors import SourceFormatInvalid, SourceReferenceRefused
from services.replication.content.qcow2 import Qcow2
from services.replication.content.vhd_dynamic import DynamicVhd
from services.replication.content.vhdx import Vhdx
from services.replication.content.vmdk import Vmdk
from tests.disk_files import dynamic_vhd, patched, qcow2, sparse_vmdk, stream_vmdk, vhdx
from tests.disk_files.memory import MemoryFile
from tests.disk_files.vhdx import BAT, METADATA, SECTOR_SIZE, header, region_table
from tests.disk_files.vmdk import descriptor
from tests.vhd import DIFFERENCING, fixed_vhd, vhd_footer

MIB = 1 << 20
KIB = 1 << 10
DISK = random.Random(1).randbytes(100_000).ljust(3 * MIB, b"\0")
SECTORS = len(DISK) // 512
Reader = Callable[[MemoryFile], BlockDisk]


def refused(reader: Reader, file: bytes, *, read: bool = False) -> str:
    """Why a file is refused: when it is opened, or when its first MiB is read."""
    if read:
        disk = reader(MemoryFile(file))
        with pytest.raises(SourceFormatInvalid) as caught:
            disk.read_into(0, memoryview(bytearray(MIB)))
    else:
        with pytest.raises(SourceFormatInvalid) as caught:
            reader(MemoryFile(file))
    return str(caught.value)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, b"QFI\0", "first bytes"),
        (4, struct.pack(">I", 4), "version 4"),
        (20, struct.pack(">I", 8), "clusters of 2^8"),
        (20, struct.pack(">I", 31), "clusters of 2^31"),
        (24, struct.pack(">Q", 0), "disk of 0"),
        (24, struct.pack(">Q", 1000), "disk of 1000"),
        (24, struct.pack(">Q", 1 << 62), "disk of"),
        (24, struct.pack(">Q", 1 << 40), "1 tables"),
        (32, struct.pack(">I", 2), "encrypted"),
        (36, struct.pack(">I", 0), "0 tables"),
        (36, struct.pack(">I", 0xFFFF_FFFF), "4294967295 tables"),
        (36, struct.pack(">I", 4_000_000), "ends before"),
        (40, struct.pack(">Q", 512), "inside a cluster"),
        (40, struct.pack(">Q", 1 << 50), "ends before"),
        (72, struct.pack(">Q", 1), "not closed"),
        (72, struct.pack(">Q", 2), "marked as damaged"),
        (72, struct.pack(">Q", 8), "another method"),
        (72, struct.pack(">Q", 16), "extended L2"),
        (72, struct.pack(">Q", 1 << 40), "unknown features"),
        (100, struct.pack(">I", 72), "header of 72"),
    ],
)
def test_a_qcow2_header_that_is_not_read(at: int, value: bytes, why: str):
    assert why in refused(Qcow2, patched(qcow2(DISK), at, value))


@pytest.mark.parametrize(("at", "value"), [(8, b"\1"), (16, b"\1"), (79, b"\4")])
def test_a_qcow2_that_needs_another_file_is_refused_as_such(at: int, value: bytes):
    with pytest.raises(SourceReferenceRefused):
        Qcow2(MemoryFile(patched(qcow2(DISK), at, value)))


def test_a_cluster_that_unpacks_to_more_or_less_than_one_is_bounded_or_refused():
    file = qcow2(b"a" * 65_536, compressed=True)
    table = int.from_bytes(file[1 << 16 : (1 << 16) + 8], "big") & ~(1 << 63)
    at = int.from_bytes(file[table : table + 8], "big") & ((1 << 54) - 1)
    bomb = zlib.compressobj(9, zlib.DEFLATED, -12)
    packed = bomb.compress(b"b" * (64 << 20)) + bomb.flush()
    entry = 1 << 62 | (len(packed) // 512 + 1) << 54 | at
    exploding = patched(patched(file, table, entry.to_bytes(8, "big")), at, packed)
    found = bytearray(65_536)
    Qcow2(MemoryFile(exploding)).read_into(0, memoryview(found))
    assert found == b"b" * 65_536
    short = zlib.compressobj(9, zlib.DEFLATED, -12)
    packed = short.compress(b"c" * 100) + short.flush()
    assert "100 bytes for one of" in refused_cluster(patched(file, at, packed))
    assert "cannot be unpacked" in refused_cluster(patched(file, at, b"\xff" * 60))


def refused_cluster(file: bytes) -> str:
    disk = Qcow2(MemoryFile(file))
    with pytest.raises(SourceFormatInvalid) as caught:
        disk.read_into(0, memoryview(bytearray(65_536)))
    return str(caught.value)


def test_a_cluster_said_to_be_zero_is_a_hole_whatever_lies_there():
    file = qcow2(b"a" * 65_536 * 2)
    table = int.from_bytes(file[1 << 16 : (1 << 16) + 8], "big") & ~(1 << 63)
    entry = int.from_bytes(file[table : table + 8], "big") | 1
    disk = Qcow2(MemoryFile(patched(file, table, entry.to_bytes(8, "big"))))
    assert list(disk.extents(0)) == [(65_536, 131_072)]
    found = bytearray(b"x" * 131_072)
    disk.read_into(0, memoryview(found))
    assert found == bytes(65_536) + b"a" * 65_536


HEADER = 512


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (HEADER, b"cxsparsf", "known version"),
        (HEADER + 24, struct.pack(">I", 0x0002_0000), "known version"),
        (HEADER + 100, b"\1", "checksum"),
    ],
)
def test_a_header_of_a_dynamic_vhd_that_is_not_read(at: int, value: bytes, why: str):
    assert why in refused(DynamicVhd, patched(dynamic_vhd(DISK), at, value))


@pytest.mark.parametrize(
    ("entries", "block", "why"),
    [
        (2, 3 * MIB, "blocks of"),
        (2, 512, "blocks of"),
        (2, 1 << 29, "blocks of"),
        (1, 2 * MIB, "1 blocks for"),
        (1 << 30, 2 * MIB, "ends before"),
    ],
)
def test_the_blocks_of_a_dynamic_vhd_must_fit_its_disk(entries: int, block: int, why: str):
    file = bytearray(dynamic_vhd(DISK))
    struct.pack_into(">II", file, HEADER + 28, entries, block)
    struct.pack_into(">I", file, HEADER + 36, 0)
    struct.pack_into(">I", file, HEADER + 36, ~sum(file[HEADER : HEADER + 1024]) & 0xFFFF_FFFF)
    assert why in refused(DynamicVhd, bytes(file))


def test_sectors_that_a_bitmap_does_not_name_are_zero():
    file = bytearray(dynamic_vhd(b"\7" * 2 * MIB))
    bitmap = 512 + 1024 + 512
    assert file[bitmap : bitmap + 512] == b"\xff" * 512
    file[bitmap] = 0b1011_1111
    disk = DynamicVhd(MemoryFile(bytes(file)))
    found = bytearray(b"x" * 2048)
    disk.read_into(100, memoryview(found))
    assert found == b"\7" * 412 + bytes(512) + b"\7" * 1124


def test_a_vhd_of_another_kind_is_not_taken_for_a_dynamic_one():
    assert "fixed size" in refused(DynamicVhd, fixed_vhd(DISK))
    with pytest.raises(SourceReferenceRefused):
        DynamicVhd(MemoryFile(dynamic_vhd(DISK, kind=DIFFERENCING)))


def test_a_dynamic_vhd_may_have_any_number_of_sectors():
    disk = DynamicVhd(MemoryFile(dynamic_vhd(DISK + bytes(512))))
    assert disk.size == len(DISK) + 512
    assert "disk of 100 bytes" in refused(
        DynamicVhd, dynamic_vhd(DISK)[:-512] + vhd_footer(len(DISK), 3, current_size=100)
    )


def test_the_newer_of_the_headers_of_a_vhdx_that_pass_counts():
    file = vhdx(DISK)
    log = b"\1" * 16
    assert "log" in refused(Vhdx, patched(file, 64 * KIB, header(3, log)))
    assert Vhdx(MemoryFile(patched(file, 64 * KIB, header(1, log)))).size == len(DISK)
    assert Vhdx(MemoryFile(patched(file, 128 * KIB, b"\0" * 4096))).size == len(DISK)
    broken = patched(patched(file, 64 * KIB + 100, b"\1"), 128 * KIB + 100, b"\1")
    assert "no header" in refused(Vhdx, broken)
    assert "version 2" in refused(Vhdx, patched(file, 128 * KIB, header(3, version=2)))


@pytest.mark.parametrize(
    ("regions", "why"),
    [
        ((), "lacks"),
        (((BAT, 3 * MIB, MIB, 1),), "lacks"),
        (((BAT, 512, MIB, 1), (METADATA, 2 * MIB, MIB, 1)), "region at byte 512"),
        (((BAT, 3 * MIB, MIB, 1), (BAT, 2 * MIB, MIB, 1)), "region at byte"),
        (((BAT, 3 * MIB, 0xFFFF_FFFF, 1), (METADATA, 2 * MIB, MIB, 1)), "ends before"),
        (((BAT, 3 * MIB, 8, 1), (METADATA, 2 * MIB, MIB, 1)), "8 bytes for 3 blocks"),
        (((BAT, 3 * MIB, MIB, 1), (METADATA, 2 * MIB, 512, 1)), "metadata of 512"),
        (((SECTOR_SIZE, 3 * MIB, MIB, 1),), "unknown kind"),
    ],
)
def test_the_regions_of_a_vhdx_must_be_there(
    regions: tuple[tuple[str, int, int, int], ...], why: str
):
    table = region_table(regions)
    file = patched(patched(vhdx(DISK), 192 * KIB, table), 256 * KIB, table)
    assert why in refused(Vhdx, file)


def test_the_other_table_of_regions_serves_where_one_is_damaged():
    file = vhdx(DISK)
    damaged = patched(file, 192 * KIB + 8, b"\xff")
    assert Vhdx(MemoryFile(damaged)).size == len(DISK)
    assert "regions" in refused(Vhdx, patched(damaged, 256 * KIB + 8, b"\xff"))


def test_metadata_of_a_vhdx_that_is_not_known_matters_where_it_is_required():
    item = "11111111-2222-3333-4444-555555555555"
    assert Vhdx(MemoryFile(vhdx(DISK, more_items=((item, b"x", 0),)))).size == len(DISK)
    assert "unknown kind" in refused(Vhdx, vhdx(DISK, more_items=((item, b"x", 4),)))
    twice = ((SECTOR_SIZE, struct.pack("<I", 512), 6),)
    assert "item of metadata" in refused(Vhdx, vhdx(DISK, more_items=twice))
    parent = (("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", b"x" * 20, 4),)
    for file in (vhdx(DISK, more_items=parent), vhdx(DISK, flags=2)):
        with pytest.raises(SourceReferenceRefused):
            Vhdx(MemoryFile(file))


@pytest.mark.parametrize("state", [4, 5, 7])
def test_a_block_of_a_vhdx_in_a_state_that_is_none_is_refused(state: int):
    file = vhdx(DISK)
    entry = int.from_bytes(file[3 * MIB : 3 * MIB + 8], "little") & ~7 | state
    broken = patched(file, 3 * MIB, entry.to_bytes(8, "little"))
    assert f"state {state}" in refused(Vhdx, broken, read=True)


@pytest.mark.parametrize("state", [0, 1, 2, 3])
def test_a_block_of_a_vhdx_that_holds_nothing_is_a_hole(state: int):
    file = vhdx(DISK)
    entry = int.from_bytes(file[3 * MIB : 3 * MIB + 8], "little") & ~7 | state
    disk = Vhdx(MemoryFile(patched(file, 3 * MIB, entry.to_bytes(8, "little"))))
    assert list(disk.extents(0)) == []


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (4, struct.pack("<I", 9), "known version"),
        (12, struct.pack("<Q", 0), "disk of 0"),
        (12, struct.pack("<Q", 1 << 60), "disk of"),
        (20, struct.pack("<Q", 1), "grains of 1"),
        (20, struct.pack("<Q", 129), "grains of 129"),
        (36, struct.pack("<Q", 1 << 30), "descriptor of"),
        (44, struct.pack("<I", 0), "tables of 0"),
        (44, struct.pack("<I", 1 << 20), "tables of"),
        (56, struct.pack("<Q", 1 << 40), "ends before"),
        (72, b"\1", "not closed"),
        (73, b"\n \n\n", "transfer as text"),
        (8, struct.pack("<I", 1 | 1 << 16), "compressed in an unknown way"),
    ],
)
def test_a_vmdk_header_that_is_not_read(at: int, value: bytes, why: str):
    assert why in refused(Vmdk, patched(sparse_vmdk(DISK), at, value))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        descriptor(SECTORS, "monolithicSparse", "parentCID=00000001"),
        descriptor(SECTORS, "monolithicSparse", "parentCID=ffffffff", 'parentFileNameHint="a"'),
        descriptor(SECTORS, "monolithicSparse", extents=('RW 8 SPARSE "/dev/sda"',)),
        descriptor(SECTORS, "monolithicSparse", extents=(r'RW 8 SPARSE "C:\disk.vmdk"',)),
        descriptor(SECTORS, "monolithicFlat", extents=('RW 8 FLAT "disk-flat.vmdk" 0',)),
        descriptor(SECTORS, "monolithicSparse", extents=('RW 8 SPARSE "a"', 'RW 8 SPARSE "b"')),
        descriptor(SECTORS, "monolithicSparse", extents=('  RW 8 VMFS "a"  ',)),
        descriptor(SECTORS, "monolithicSparse", extents=("RW 8 ZERO",)),
    ],
)
def test_a_vmdk_that_names_another_file_is_refused_as_such(text: bytes):
    with pytest.raises(SourceReferenceRefused):
        Vmdk(MemoryFile(sparse_vmdk(DISK, text=text)))


@pytest.mark.parametrize(
    "text",
    [
        descriptor(SECTORS, "custom"),
        descriptor(SECTORS, "monolithicSparse", extents=("# none",)),
        b"\xff" * 512,
    ],
)
def test_a_descriptor_of_another_type_is_refused(text: bytes):
    assert "type" in refused(Vmdk, sparse_vmdk(DISK, text=text))


def test_a_grain_of_a_stream_must_be_the_one_that_it_says():
    file = stream_vmdk(DISK)
    first = 128 * 512
    assert file[first : first + 8] == bytes(8)
    assert "place of another" in refused(Vmdk, patched(file, first, b"\x80"), read=True)
    long = patched(file, first + 8, struct.pack("<I", 1 << 30))
    assert "grain of 1073741824" in refused(Vmdk, long, read=True)


def test_a_stream_without_its_end_is_refused():
    assert "known version" in refused(Vmdk, stream_vmdk(DISK)[:-512])


@pytest.mark.parametrize(
    ("data", "sum_"),
    [(b"", 0), (b"123456789", 0xE306_9283), (bytes(32), 0x8A91_36AA), (b"\xff" * 32, 0x62A8_AB43)],
)
def test_sums_are_those_of_rfc_3720(data: bytes, sum_: int):
    assert crc32c(data) == sum_
