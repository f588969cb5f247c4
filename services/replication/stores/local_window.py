"""Group commit on a directory: write beside, then fsync, rename and fsync all together.

An object appears under its name only once its bytes are durable. Files go past the page cache
where the file system allows it (O_DIRECT): the bytes are not needed again, and writing them back
later would make the commit wait for what the copy could have waited for meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from services.replication.content.keys import TEMPORARY, split_key
from services.replication.content.store import PutOutcome
from services.replication.stores.posix import (
    directory,
    mapped,
    open_directory,
    sync_directory,
    write_all,
)

BLOCK_BYTES: Final = 4096
DIRECT: Final = getattr(os, "O_DIRECT", 0)
_SYNC_THREADS: Final = 16
_SCRATCH_TRIES: Final = 5

ItemT = TypeVar("ItemT")


class DirectIo:
    """Whether a file system goes past the page cache; found out at the first refusal."""

    def __init__(self) -> None:
        self.allowed = bool(DIRECT)


@dataclass(frozen=True, slots=True)
class _Pending:
    parts: tuple[str, ...]
    temporary: str
    descriptor: int


class LocalWindow:
    """Objects on their way into a directory; see `content.store.Window`."""

    def __init__(
        self,
        root: int,
        scratch: tuple[str, str],
        *,
        length: Callable[[str], int | None],
        quarantine: Callable[[str], None],
        direct: DirectIo,
    ) -> None:
        self._root = root
        self._path: Final = (TEMPORARY, *scratch)
        self._length = length
        self._quarantine = quarantine
        self._direct = direct
        self._lock = threading.Lock()
        self._scratch: int | None = None
        self._taken: set[str] = set()
        self._pending: list[_Pending] = []

    def put(self, key: str, parts: Sequence[memoryview], *, aligned: bool = False) -> PutOutcome:
        """Write an object beside its place, unless one of its length is there or on its way."""
        with self._lock:
            if key in self._taken:
                return PutOutcome.PRESENT
            self._taken.add(key)
            number = len(self._taken)
        length = sum(len(part) for part in parts)
        found = self._length(key)
        if found == length:
            return PutOutcome.PRESENT
        if found is not None:
            self._quarantine(key)
        name = f"{number:x}"
        with mapped(f"cannot write {key}"):
            descriptor = self._create(name, direct=aligned and self._direct.allowed)
            pending = _Pending(split_key(key), name, descriptor)
            with self._lock:
                self._pending.append(pending)
            if aligned and self._direct.allowed:
                self._write_direct(descriptor, parts)
            else:
                write_all(descriptor, parts)
        return PutOutcome.WRITTEN

    def commit(self) -> None:
        """Fsync the files, rename them into place, fsync the directories."""
        if not self._pending:
            return
        with mapped("cannot commit a window"):
            self._sync_files()
            directories: dict[tuple[str, ...], None] = {}
            for item in self._pending:
                self._place(item)
                # Ancestors too: another window may have made them and died before its fsync.
                for depth in range(len(item.parts) - 1, -1, -1):
                    directories[item.parts[:depth]] = None
            _at_once(lambda parts: sync_directory(self._root, parts), list(directories))
        self._pending.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for item in self._pending:
            with contextlib.suppress(OSError):
                os.close(item.descriptor)
            with contextlib.suppress(OSError):
                os.unlink(item.temporary, dir_fd=self._scratch)
        self._pending.clear()
        if self._scratch is None:
            return
        os.close(self._scratch)
        self._scratch = None
        # The directory of the task stays: another window of it may be about to begin.
        *parents, name = self._path
        with contextlib.suppress(OSError), directory(self._root, parents) as parent:
            os.rmdir(name, dir_fd=parent)

    def _create(self, name: str, *, direct: bool) -> int:
        with self._lock:
            if self._scratch is None:
                self._scratch = self._open_scratch()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        if direct:
            try:
                return os.open(name, flags | DIRECT, 0o600, dir_fd=self._scratch)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._direct.allowed = False
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._scratch)
        return os.open(name, flags, 0o600, dir_fd=self._scratch)

    def _open_scratch(self) -> int:
        for _ in range(_SCRATCH_TRIES):
            # A sweep may take the empty directory of the task between two of our steps.
            with contextlib.suppress(FileNotFoundError):
                return open_directory(self._root, self._path, create=True)
        return open_directory(self._root, self._path, create=True)

    def _write_direct(self, descriptor: int, parts: Sequence[memoryview]) -> None:
        last = parts[-1]
        whole = len(last) // BLOCK_BYTES * BLOCK_BYTES
        try:
            write_all(descriptor, [*parts[:-1], last[:whole]])
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._direct.allowed = False
            buffered(descriptor)
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            write_all(descriptor, parts)
            return
        if whole < len(last):
            buffered(descriptor)
            write_all(descriptor, [last[whole:]])

    def _sync_files(self) -> None:
        # A file that fails its fsync is lost: the kernel may have dropped the dirty pages. The
        # error ends the window, and every file of it is deleted.
        _at_once(os.fsync, [item.descriptor for item in self._pending])

    def _place(self, item: _Pending) -> None:
        with directory(self._root, item.parts[:-1], create=True) as parent:
            # Replacing is right: names are content, so what may have appeared meanwhile is equal.
            os.rename(item.temporary, item.parts[-1], src_dir_fd=self._scratch, dst_dir_fd=parent)
        os.close(item.descriptor)


def _at_once(sync: Callable[[ItemT], None], items: Sequence[ItemT]) -> None:
    """Sync all items from several threads: a file system makes what waits durable together."""
    if len(items) == 1:
        sync(items[0])
        return
    with ThreadPoolExecutor(min(_SYNC_THREADS, len(items))) as pool:
        for _ in pool.map(sync, items):
            pass


def buffered(descriptor: int) -> None:
    """Let the rest of a file go through the page cache."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~DIRECT)
