"""VMDK in one file, by VMware's Virtual Disk Format 5.0."""

import struct
import zlib

from tests.disk_files.blocks import blocks

GRAIN = 64 << 10
ENTRIES = 512
_AT_END = 2**64 - 1


def descriptor(sectors: int, kind: str, *lines: str, extents: tuple[str, ...] = ()) -> bytes:
    """The text in the file; `lines` come before the extents."""
    text = [
        "# Disk DescriptorFile",
        "version=1",
        "CID=12345678",
        *(lines or ("parentCID=ffffffff",)),
        f'createType="{kind}"',
        "# Extent description",
        *(extents or (f'RW {sectors} SPARSE "disk.vmdk"',)),
        'ddb.adapterType = "ide"',
    ]
    return ("\n".join(text) + "\n").encode().ljust(20 * 512, b"\0")


def sparse_vmdk(disk: bytes, *, text: bytes | None = None, flags: int = 1) -> bytes:
    """A sparse file: header, descriptor, directory, tables, grains."""
    sectors = len(disk) // 512
    text = descriptor(sectors, "monolithicSparse") if text is None else text
    tables = -(-len(disk) // (GRAIN * ENTRIES))
    directory_at = 512 + len(text)
    first_table = directory_at + -(-tables * 4 // 512) * 512
    body_at = -(-(first_table + tables * ENTRIES * 4) // GRAIN) * GRAIN
    entries = bytearray(tables * ENTRIES * 4)
    body = bytearray()
    for index, grain in blocks(disk, GRAIN):
        struct.pack_into("<I", entries, index * 4, (body_at + len(body)) // 512)
        body += grain
    directory = b"".join(
        struct.pack("<I", (first_table + index * ENTRIES * 4) // 512) for index in range(tables)
    )
    head = _header(sectors, text, flags, directory=directory_at // 512, overhead=body_at // 512)
    start = head + text + directory.ljust(first_table - directory_at, b"\0") + bytes(entries)
    return start.ljust(body_at, b"\0") + bytes(body)


def stream_vmdk(disk: bytes, *, text: bytes | None = None) -> bytes:
    """A stream: compressed grains with markers, tables, directory, and the header again."""
    sectors = len(disk) // 512
    text = descriptor(sectors, "streamOptimized") if text is None else text
    flags = 1 | 1 << 16 | 1 << 17
    out = bytearray(_header(sectors, text, flags, directory=_AT_END, overhead=128) + text)
    out += bytes(128 * 512 - len(out))
    tables = -(-len(disk) // (GRAIN * ENTRIES))
    entries = bytearray(tables * ENTRIES * 4)
    for index, grain in blocks(disk, GRAIN):
        struct.pack_into("<I", entries, index * 4, len(out) // 512)
        packed = zlib.compress(grain)
        out += struct.pack("<QI", index * GRAIN // 512, len(packed)) + packed
        out += bytes(-len(out) % 512)
    places = []
    for table in range(tables):
        out += _marker(ENTRIES * 4 // 512, 1)
        places.append(len(out) // 512)
        out += entries[table * ENTRIES * 4 : (table + 1) * ENTRIES * 4]
    directory = b"".join(struct.pack("<I", place) for place in places)
    directory += bytes(-len(directory) % 512)
    out += _marker(len(directory) // 512, 2)
    directory_at = len(out) // 512
    out += directory + _marker(1, 3)
    out += _header(sectors, text, flags, directory=directory_at, overhead=128)
    return bytes(out + _marker(0, 0))


def _header(sectors: int, text: bytes, flags: int, *, directory: int, overhead: int) -> bytes:
    compressed = flags >> 16 & 1
    return struct.pack(
        "<4sIIQQQQIQQQB4sH",
        b"KDMV",
        3 if compressed else 1,
        flags,
        sectors,
        GRAIN // 512,
        1 if text else 0,
        len(text) // 512,
        ENTRIES,
        0,
        directory,
        overhead,
        0,
        b"\n \r\n",
        compressed,
    ).ljust(512, b"\0")


def _marker(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(512, b"\0")
