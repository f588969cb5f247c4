"""QCOW2 as `docs/interop/qcow2.txt` of QEMU has it."""

import struct
import zlib

from tests.disk_files.blocks import blocks

_COPIED = 1 << 63
_COMPRESSED = 1 << 62


def qcow2(
    disk: bytes,
    *,
    version: int = 3,
    cluster_bits: int = 16,
    compressed: bool = False,
    size: int | None = None,
) -> bytes:
    """A file with one level of everything: header, counts, tables, clusters, in this order."""
    cluster = 1 << cluster_bits
    size = size or len(disk)
    span = cluster * cluster // 8
    tables = -(-size // span)
    l1_clusters = -(-tables * 8 // cluster)
    found: dict[int, dict[int, bytes]] = {}
    for index, block in blocks(disk, cluster):
        table, entry = divmod(index, cluster // 8)
        found.setdefault(table, {})[entry] = block
    l1_at = cluster
    at = l1_at + l1_clusters * cluster
    l1 = bytearray(l1_clusters * cluster)
    l2s = {table: bytearray(cluster) for table in sorted(found)}
    for table in l2s:
        struct.pack_into(">Q", l1, table * 8, at | _COPIED)
        at += cluster
    body = bytearray()
    start = at
    for table, entries in sorted(found.items()):
        for entry, block in sorted(entries.items()):
            packer = zlib.compressobj(9, zlib.DEFLATED, -12)
            packed = packer.compress(block) + packer.flush()
            where = start + len(body)
            # What cannot be shortened is stored as it is.
            if compressed and len(packed) < cluster:
                sectors = (where % 512 + len(packed) - 1) // 512
                value = _COMPRESSED | sectors << (70 - cluster_bits) | where
                body += packed
            else:
                body += bytes(-len(body) % cluster)
                value = _COPIED | start + len(body)
                body += block
            struct.pack_into(">Q", l2s[table], entry * 8, value)
    body += bytes(-len(body) % cluster)
    used = (start + len(body)) // cluster
    counted = -(-used * 2 // cluster)
    counts_at = start + len(body)
    # The counts themselves and the table of them come last.
    used += counted + 1
    assert used * 2 <= counted * cluster
    counts = bytearray(counted * cluster)
    for index in range(used):
        struct.pack_into(">H", counts, index * 2, 1)
    if compressed:
        _count_shared(counts, l2s, cluster_bits)
    count_table = b"".join(
        struct.pack(">Q", counts_at + index * cluster) for index in range(counted)
    ).ljust(cluster, b"\0")
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        0,
        0,
        cluster_bits,
        size,
        0,
        tables,
        l1_at,
        counts_at + counted * cluster,
        1,
        0,
        0,
    )
    if version == 3:
        head += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    found_tables = l1 + b"".join(l2s.values())
    return head.ljust(cluster, b"\0") + found_tables + body + counts + count_table


def _count_shared(counts: bytearray, l2s: dict[int, bytearray], cluster_bits: int) -> None:
    """Count the clusters that hold compressed ones: once for each that touches them."""
    split = 70 - cluster_bits
    met: dict[int, int] = {}
    for l2 in l2s.values():
        for (value,) in struct.iter_unpack(">Q", l2):
            if value & _COMPRESSED:
                at = value & ((1 << split) - 1)
                sectors = (value & (_COMPRESSED - 1)) >> split
                end = (at // 512 + sectors) * 512
                for index in range(at >> cluster_bits, (end >> cluster_bits) + 1):
                    met[index] = met.get(index, 0) + 1
    for index, count in met.items():
        struct.pack_into(">H", counts, index * 2, count)
