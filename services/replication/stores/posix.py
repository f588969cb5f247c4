"""Directories reached part by part without following links, and what their errors mean.

Every path is opened relative to the store's root, one part at a time with O_NOFOLLOW, so that a
link planted inside a store leads nowhere (replication specification, section 3).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from typing import Final

from services.replication.content.errors import (
    DataError,
    StoreAccessDenied,
    StoreFull,
    StoreIoError,
    StoreUnavailable,
)

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CAPACITY: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOTDIR}


def store_error(error: OSError, what: str) -> DataError:
    """Return what an OSError means for a copy."""
    text = f"{what}: {error.strerror}"
    if error.errno in _CAPACITY:
        return StoreFull(text)
    if error.errno in _DENIED:
        return StoreAccessDenied(text)
    if error.errno == errno.EIO:
        return StoreIoError(text)
    return StoreUnavailable(text)


@contextlib.contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn any OSError of the block into the error that it means for a copy."""
    try:
        yield
    except OSError as error:
        raise store_error(error, what) from error


def open_directory(root: int, parts: Sequence[str], *, create: bool = False) -> int:
    """Return a descriptor of the directory `parts` below `root`; the caller closes it.

    Raises FileNotFoundError where a part is missing and `create` is false.
    """
    current = os.dup(root)
    try:
        for part in parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=current)
            deeper = os.open(part, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = deeper
    except BaseException:
        os.close(current)
        raise
    return current


@contextlib.contextmanager
def directory(root: int, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """Open a directory below `root` for as long as the block runs."""
    descriptor = open_directory(root, parts, create=create)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_directory(root: int, parts: Sequence[str]) -> None:
    """Make the entries of a directory durable."""
    with directory(root, parts) as descriptor:
        os.fsync(descriptor)


def write_all(descriptor: int, parts: Sequence[memoryview]) -> None:
    """Write every byte of `parts` at the file's position; short writes are continued."""
    pending = [part for part in parts if len(part)]
    while pending:
        written = os.writev(descriptor, pending)
        if written == 0:
            raise OSError(errno.EIO, "the file took no bytes")
        while pending and written >= len(pending[0]):
            written -= len(pending.pop(0))
        if written:
            pending[0] = pending[0][written:]


def write_file(root: int, name: str, data: bytes) -> None:
    """Write a small new file directly below `root`, durable but for its directory entry."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=root)
    try:
        write_all(descriptor, [memoryview(data)])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(parent: int, name: str, limit: int) -> bytes | None:
    """Return a file's bytes, at most `limit` + 1 of them; None where there is no such file."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return None
    try:
        chunks: list[bytes] = []
        left = limit + 1
        while left > 0 and (chunk := os.read(descriptor, min(left, 1 << 20))):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)
