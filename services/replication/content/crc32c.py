"""CRC-32C (Castagnoli), which the standard library does not have; for a few KiB at a time."""

from __future__ import annotations

from typing import Final

_POLYNOMIAL: Final = 0x82F6_3B78


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE: Final = tuple(_entry(value) for value in range(256))


def crc32c(data: bytes | bytearray) -> int:
    """Return the CRC-32C of `data`, as RFC 3720 section B.4 has it."""
    table = _TABLE
    found = 0xFFFF_FFFF
    for byte in data:
        found = found >> 8 ^ table[(found ^ byte) & 0xFF]
    return found ^ 0xFFFF_FFFF
