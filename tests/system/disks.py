"""Raw disk images made on the spot: data among holes, and how they are sent and compared."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

MIB: Final = 1024 * 1024
_BLOCK: Final = bytes(range(256)) * 16


@dataclass(frozen=True, slots=True)
class Disk:
    """The bytes of a disk."""

    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def digest(self) -> str:
        return blake3(self.content).hexdigest()

    @property
    def data_bytes(self) -> int:
        """Bytes of those 64 KiB pieces that are not all zero, which is what is ever copied."""
        leaf = 64 * 1024
        pieces = (self.content[at : at + leaf] for at in range(0, self.size, leaf))
        return sum(len(piece) for piece in pieces if piece.count(0) != len(piece))

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Pieces of 1 MiB and where they begin."""
        for at in range(0, self.size, MIB):
            yield at, self.content[at : at + MIB]


def sparse(size: int, data: int, seed: int) -> Disk:
    """A disk of `size` MiB with `data` MiB of noise: some at its beginning, some at its end."""
    content = bytearray(size * MIB)
    noise = random.Random(seed).randbytes(data * MIB)
    half = len(noise) // 2
    content[MIB // 2 : MIB // 2 + half] = noise[:half]
    content[len(content) - half :] = noise[half:]
    return Disk(bytes(content))


def noise(size: int, seed: int) -> Disk:
    """A disk of `size` MiB that nothing can be left out of."""
    rng = random.Random(seed)
    # Not all at once: a C integer counts the bits.
    return Disk(b"".join(rng.randbytes(MIB) for _ in range(size)))


def structured(size: int, seed: int) -> Disk:
    """A disk of `size` MiB like a file system: headers, text that repeats, noise, gaps, an end.

    Its last piece is shorter than any unit that bytes are kept in.
    """
    source = random.Random(seed)
    content = bytearray(size * MIB - 3 * 512)
    content[510:512] = b"\x55\xaa"
    for at in range(MIB, len(content) - MIB, MIB):
        match source.randrange(3):
            case 0:
                content[at : at + 256 * 1024] = _BLOCK * 64
            case 1:
                content[at + 4096 : at + 4096 + 65_000] = source.randbytes(65_000)
            case _:
                pass
    content[-512:] = source.randbytes(512)
    return Disk(bytes(content))
