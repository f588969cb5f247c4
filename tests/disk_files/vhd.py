"""VHD of dynamic size, by the Virtual Hard Disk Image Format Specification 1.0."""

import struct

from tests.disk_files.blocks import blocks
from tests.vhd import DYNAMIC, vhd_footer


def dynamic_vhd(disk: bytes, *, block: int = 2 << 20, kind: int = DYNAMIC, **fields: int) -> bytes:
    """A file: copy of the footer, header, table of blocks, blocks with bitmaps, footer."""
    footer = vhd_footer(len(disk), kind, **fields)
    entries = -(-len(disk) // block)
    table = bytearray(b"\xff" * (-(-entries * 4 // 512) * 512))
    at = 512 + 1024 + len(table)
    bitmap_bytes = -(-block // 512 // 8 // 512) * 512 or 512
    body = bytearray()
    for index, data in blocks(disk, block):
        struct.pack_into(">I", table, index * 4, (at + len(body)) // 512)
        bits = bytearray(bitmap_bytes)
        for sector in range(block // 512):
            if any(data[sector * 512 : sector * 512 + 512]):
                bits[sector // 8] |= 0x80 >> sector % 8
        body += bits + data
    head = bytearray(1024)
    struct.pack_into(
        ">8sQQIII", head, 0, b"cxsparse", 2**64 - 1, 512 + 1024, 0x0001_0000, entries, block
    )
    struct.pack_into(">I", head, 36, ~sum(head) & 0xFFFF_FFFF)
    return footer + bytes(head) + bytes(table) + bytes(body) + footer
