"""VHDX, by MS-VHDX; the sum is computed bit by bit, not by a table."""

import struct
import uuid

from tests.disk_files.blocks import blocks

MIB = 1 << 20
KIB = 1 << 10
BAT = "2dc27766-f623-4200-9d64-115e9bfd4a08"
METADATA = "8b7ca206-4790-4b9a-b8fe-575f050f886e"
FILE_PARAMETERS = "caa16737-fa36-4d43-b3b6-33f0aa44e76b"
DISK_SIZE = "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
DISK_ID = "beca12ab-b2e6-4523-93ef-c309e000c746"
SECTOR_SIZE = "8141bf1d-a96f-4709-ba47-f233a8faab5f"
PHYSICAL_SECTOR = "cda348c7-445d-4471-9cc9-e9885251c556"


def vhdx(
    disk: bytes,
    *,
    block: int = MIB,
    log: bytes = bytes(16),
    flags: int = 0,
    sector: int = 512,
    size: int | None = None,
    more_items: tuple[tuple[str, bytes, int], ...] = (),
) -> bytes:
    """A file: headers and regions in 1 MiB, an empty log, metadata, table of blocks, blocks."""
    size = len(disk) if size is None else size
    ratio = (sector << 23) // block
    entries = -(-size // block)
    bat = bytearray(-(-(entries + entries // ratio) * 8 // MIB) * MIB)
    body_at = 3 * MIB + len(bat)
    body = bytearray()
    for index, data in blocks(disk, block):
        at = body_at + len(body)
        struct.pack_into("<Q", bat, (index + index // ratio) * 8, at | 6)
        body += data
    items = (
        (FILE_PARAMETERS, struct.pack("<II", block, flags), 4),
        (DISK_SIZE, struct.pack("<Q", size), 6),
        (DISK_ID, uuid.uuid4().bytes_le, 6),
        (SECTOR_SIZE, struct.pack("<I", sector), 6),
        (PHYSICAL_SECTOR, struct.pack("<I", 4096), 6),
        *more_items,
    )
    head = bytearray(MIB)
    head[:8] = b"vhdxfile"
    for at, sequence in ((64 * KIB, 1), (128 * KIB, 2)):
        head[at : at + 4 * KIB] = header(sequence, log)
    regions = region_table(
        ((BAT, 3 * MIB, len(bat), 1), (METADATA, 2 * MIB, MIB, 1)),
    )
    head[192 * KIB : 256 * KIB] = head[256 * KIB : 320 * KIB] = regions
    return bytes(head) + bytes(MIB) + _metadata(items) + bytes(bat) + bytes(body)


def header(sequence: int, log: bytes = bytes(16), version: int = 1) -> bytes:
    """A header of 4 KiB with its sum."""
    guid = uuid.uuid4().bytes_le
    fields = struct.pack(
        "<4sIQ16s16s16sHHIQ", b"head", 0, sequence, guid, guid, log, 0, version, MIB, MIB
    )
    return summed(fields.ljust(4 * KIB, b"\0"))


def region_table(regions: tuple[tuple[str, int, int, int], ...]) -> bytes:
    """A table of 64 KiB with its sum: (kind, offset, length, required)."""
    data = struct.pack("<4sIII", b"regi", 0, len(regions), 0)
    for kind, at, length, required in regions:
        data += struct.pack("<16sQII", uuid.UUID(kind).bytes_le, at, length, required)
    return summed(data.ljust(64 * KIB, b"\0"))


def summed(data: bytes) -> bytes:
    """The structure with its CRC-32C in bytes 4 to 8, which are zero in it."""
    found = 0xFFFF_FFFF
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F6_3B78 if found & 1 else 0)
    return data[:4] + struct.pack("<I", found ^ 0xFFFF_FFFF) + data[8:]


def _metadata(items: tuple[tuple[str, bytes, int], ...]) -> bytes:
    table = struct.pack("<8sHH20s", b"metadata", 0, len(items), bytes(20))
    values = b""
    for kind, value, flags in items:
        at = 64 * KIB + len(values)
        table += struct.pack("<16sIII4s", uuid.UUID(kind).bytes_le, at, len(value), flags, bytes(4))
        values += value
    return (table.ljust(64 * KIB, b"\0") + values).ljust(MIB, b"\0")
