"""Files of a directory by the parts of their key, reached without following a link."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Final

from services.replication.content.errors import ObjectCorrupt, ObjectMissing
from services.replication.stores.posix import directory, mapped, read_file

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def state_of(root: int, parts: Sequence[str], key: str) -> os.stat_result | None:
    """Return what a file system knows of a name, a link itself included; None without it."""
    *parents, name = parts
    with mapped(f"cannot look at {key}"):
        try:
            with directory(root, parents) as parent:
                return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None


def read_whole(root: int, parts: Sequence[str], key: str, *, limit: int) -> bytes:
    """Return a small file; ObjectMissing, ObjectCorrupt where it is longer than `limit` bytes."""
    *parents, name = parts
    with mapped(f"cannot read {key}"):
        try:
            with directory(root, parents) as parent:
                data = read_file(parent, name, limit)
        except FileNotFoundError:
            data = None
    if data is None:
        raise ObjectMissing(key)
    if len(data) > limit:
        raise ObjectCorrupt(key, f"is longer than {limit} bytes")
    return data


@contextlib.contextmanager
def opened(root: int, parts: Sequence[str], key: str) -> Iterator[int]:
    """Open a file for reading for as long as the block runs; ObjectMissing without it."""
    *parents, name = parts
    with mapped(f"cannot read {key}"):
        try:
            with directory(root, parents) as parent:
                descriptor = os.open(name, _READ, dir_fd=parent)
        except FileNotFoundError:
            raise ObjectMissing(key) from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def fill(descriptor: int, key: str, offset: int, *, target: memoryview) -> None:
    """Read all of `target` from an offset; ObjectCorrupt where the file ends before."""
    done = 0
    while done < len(target):
        got = os.preadv(descriptor, [target[done:]], offset + done)
        if got == 0:
            raise ObjectCorrupt(key, f"ends before byte {offset + len(target)}")
        done += got
