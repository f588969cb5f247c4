"""The digest of all that a blob holds, read back from its slot."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import blake3

from services.replication.content.progress import Control
from services.replication.content.reader import Data, DiskReader
from services.replication.content.refs import BlobRef
from services.replication.content.segment_io import read_manifest
from services.replication.content.store import Store

_ZEROS: Final = bytes(1 << 20)


def content_digest(store: Store, ref: BlobRef, *, use_blake3: bool, control: Control) -> bytes:
    """Answer the BLAKE3 or else the SHA-256 digest of a blob's bytes, zeros included.

    Raises:
        Cancelled, DataError: of the control, or of the store.
    """
    hasher: Any = blake3.blake3(max_threads=blake3.blake3.AUTO) if use_blake3 else hashlib.sha256()
    manifest = read_manifest(store, ref.tenant, ref.root)
    reader = DiskReader(store, ref.tenant, manifest)
    for piece in _pieces(reader, ref.logical_size):
        control.check()
        hasher.update(piece)
    digest: bytes = hasher.digest()
    return digest


def _pieces(reader: DiskReader, size: int) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a disk, zeros included."""
    for piece in reader.read(0, size):
        if isinstance(piece, Data):
            yield piece.data
            continue
        left = piece.length
        while left:
            count = min(left, len(_ZEROS))
            yield memoryview(_ZEROS)[:count]
            left -= count
