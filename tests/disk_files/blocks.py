"""What the makers have in common."""

from collections.abc import Iterator


def blocks(disk: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """The blocks of a disk that are not all zeros, with their indexes; the last one filled up."""
    for index in range(-(-len(disk) // size)):
        block = disk[index * size : (index + 1) * size]
        if any(block):
            yield index, block.ljust(size, b"\0")
