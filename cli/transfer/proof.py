"""Verifies what is pulled leaf by leaf, before it is written."""

from collections.abc import Iterator
from typing import Final

from stoa.replication.v1.image_disk_pb2 import DiskLayout, SegmentLeaves

from cli.errors import CliError
from cli.transfer.tree import (
    DIGEST_BYTES,
    ZERO_DIGEST,
    digest_of_leaves,
    leaf_digest,
    segment_span,
)


class Damaged(CliError):
    """Bytes are not what was hashed."""


class Proof:
    """The leaves of segments, as far as they are known; each proven by the segment's digest.

    Without `digests` nothing can be verified, and everything passes.
    """

    def __init__(self, layout: DiskLayout, digests: list[bytes] | None) -> None:
        self.layout: Final = layout
        self.digests: Final = digests
        self._leaves: Final[dict[int, bytes]] = {}

    def learn(self, told: SegmentLeaves) -> None:
        """Take the leaves of a segment.

        Raises:
            CliError: they do not make up its digest.
        """
        begin, end = segment_span(self.layout, told.segment)
        expected = self.digests[told.segment] if self.digests is not None else None
        if digest_of_leaves(end - begin, told.digests) != expected:
            raise _damaged(f"the leaves of segment {told.segment} do not make up its digest")
        self._leaves[told.segment] = told.digests

    def leaves(self, index: int) -> list[bytes]:
        """The known leaves of a segment, 32 zero bytes for one of zeros; none: not known."""
        known = self._leaves.get(index, b"")
        return [known[at : at + DIGEST_BYTES] for at in range(0, len(known), DIGEST_BYTES)]

    def checked(self, offset: int, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """The leaves in bytes that begin and end at leaves, each verified, and where it is.

        Raises:
            CliError: one is not what it must be.
        """
        size = self.layout.leaf_bytes
        for at in range(0, len(data), size):
            leaf = data[at : at + size]
            if self.digests is not None and leaf_digest(leaf) != self._known(offset + at):
                raise _wrong(offset + at)
            yield offset + at, leaf

    def check_zeros(self, offset: int, length: int) -> None:
        """Verify that leaves are zero.

        Raises:
            CliError: one is not.
        """
        if self.digests is None:
            return
        for at in range(offset, offset + length, self.layout.leaf_bytes):
            if self._known(at) != ZERO_DIGEST:
                raise _wrong(at)

    def _known(self, at: int) -> bytes:
        index, inside = divmod(at, self.layout.segment_bytes)
        first = inside // self.layout.leaf_bytes * DIGEST_BYTES
        return self._leaves.get(index, b"")[first : first + DIGEST_BYTES]


def _wrong(at: int) -> Damaged:
    return _damaged(f"the leaf at {at} does not have its digest")


def _damaged(why: str) -> Damaged:
    return Damaged(
        "Bytes were damaged on their way.",
        why=(why,),
        todo="Repeat the command; it goes on where it stopped.",
    )
