"""A replica slot in a directory of this machine, durable by its own fsyncs."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import os
import stat
import time
import uuid
from collections.abc import Container, Iterable, Iterator
from typing import Final

from blake3 import blake3

from services.replication.content.errors import (
    ObjectMissing,
    RefConflict,
    ReplicaMismatch,
)
from services.replication.content.keys import QUARANTINE, TEMPORARY, check_part, split_key
from services.replication.content.store import Reservation, StoredObject, StoredRef
from services.replication.stores.local_files import fill, opened, read_whole, state_of
from services.replication.stores.local_identity import REFS_LOCK, hold, identify
from services.replication.stores.local_sweep import sweep_temporary
from services.replication.stores.local_window import (
    BLOCK_BYTES,
    DIRECT,
    DirectIo,
    LocalWindow,
    buffered,
)
from services.replication.stores.posix import (
    directory,
    mapped,
    store_error,
    sync_directory,
    write_file,
)
from services.replication.stores.reservations import Reservations

DEFAULT_MARGIN: Final = 64 << 20
"""Bytes of a file system that are never promised to a copy."""

_REF_LIMIT: Final = 1 << 20
_DIRECT_FROM: Final = 1 << 20


class LocalStore:
    """A directory as a store; see `content.store.Store`.

    Several processes may have it open: objects are named by their content, and refs change under
    a lock. `exclusive` keeps every other one out, for tools that repair.
    """

    def __init__(
        self,
        path: str,
        *,
        replica_id: str | None = None,
        exclusive: bool = False,
        margin_bytes: int = DEFAULT_MARGIN,
    ) -> None:
        """Open an initialised store.

        Raises:
            ReplicaMismatch: it is not initialised, or not the one with `replica_id`.
            StoreBusy: another process holds it, and one of the two wants it exclusively.
            UnsupportedStore: it is of another format.
        """
        self._path: Final = os.path.abspath(path)
        self.url: Final = f"file://{self._path}"
        with mapped(f"cannot open {self._path}"):
            self._root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.replica_id: Final = identify(self._root, self._path, wanted=replica_id)
            self._lock = hold(self._root, self._path, exclusive=exclusive)
        except BaseException:
            os.close(self._root)
            raise
        self._direct = DirectIo()
        self._reservations = Reservations(self._statvfs_free, margin_bytes)

    def length(self, key: str) -> int | None:
        """Return the length of an object, -1 where something else has its name."""
        found = state_of(self._root, split_key(key), key)
        if found is None:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else -1

    def read(self, key: str, *, limit: int) -> bytes:
        """Return a small object whole."""
        return read_whole(self._root, split_key(key), key, limit=limit)

    def read_into(
        self, key: str, offset: int, target: memoryview, *, uncached: bool = False
    ) -> None:
        """Fill `target` from an object."""
        with opened(self._root, split_key(key), key) as descriptor:
            if uncached:
                self._fill_uncached(descriptor, key, offset, target=target)
            else:
                fill(descriptor, key, offset, target=target)

    def begin(self, task: str) -> LocalWindow:
        """Begin a window, after making sure that the directory is still the store."""
        self._check_mounted()
        return LocalWindow(
            self._root,
            (check_part(task), uuid.uuid4().hex),
            length=self.length,
            quarantine=self.quarantine,
            direct=self._direct,
        )

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the files below a directory of the store."""
        pending = [split_key(prefix)]
        while pending:
            current = pending.pop()
            with mapped(f"cannot list {prefix}"):
                found = self._scan(current)
            for name, state in found:
                if stat.S_ISDIR(state.st_mode):
                    pending.append((*current, name))
                elif stat.S_ISREG(state.st_mode):
                    modified = datetime.datetime.fromtimestamp(state.st_mtime, datetime.UTC)
                    yield StoredObject("/".join((*current, name)), state.st_size, modified)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; their directories stay."""
        for key in keys:
            *parents, name = split_key(key)
            with (
                mapped(f"cannot delete {key}"),
                contextlib.suppress(FileNotFoundError),
                directory(self._root, parents) as parent,
            ):
                os.unlink(name, dir_fd=parent)

    def quarantine(self, key: str) -> None:
        """Move an object to quarantine/, under its name and the time in nanoseconds."""
        *parents, name = split_key(key)
        with (
            mapped(f"cannot quarantine {key}"),
            contextlib.suppress(FileNotFoundError),
            directory(self._root, parents) as source,
            directory(self._root, [QUARANTINE], create=True) as target,
        ):
            kept = f"{name}.{time.time_ns()}"
            os.rename(name, kept, src_dir_fd=source, dst_dir_fd=target)
            os.fsync(source)
            os.fsync(target)

    def get_ref(self, key: str) -> StoredRef | None:
        """Return a ref with its tag."""
        try:
            data = self.read(key, limit=_REF_LIMIT)
        except ObjectMissing:
            return None
        return StoredRef(data, _tag(data))

    def put_ref(self, key: str, data: bytes, *, expected: str | None) -> str:
        """Write a ref durably under the lock of all refs."""
        self._check_mounted()
        *parents, name = split_key(key)
        with self._locked_refs(), mapped(f"cannot write {key}"):
            self._expect(key, expected)
            scratch = f"{name}.{uuid.uuid4().hex}"
            with (
                directory(self._root, [TEMPORARY], create=True) as temporary,
                directory(self._root, parents, create=True) as parent,
            ):
                write_file(temporary, scratch, data)
                os.rename(scratch, name, src_dir_fd=temporary, dst_dir_fd=parent)
                os.fsync(parent)
            sync_directory(self._root, [])
        return _tag(data)

    def delete_ref(self, key: str, *, expected: str) -> None:
        """Delete a ref durably under the lock of all refs."""
        *parents, name = split_key(key)
        with self._locked_refs(), mapped(f"cannot delete {key}"):
            self._expect(key, expected)
            with directory(self._root, parents) as parent:
                os.unlink(name, dir_fd=parent)
                os.fsync(parent)

    def free_bytes(self) -> int | None:
        """Return the bytes that can still be promised."""
        return self._reservations.free_bytes()

    def reserve(self, length: int) -> Reservation:
        """Promise bytes of the file system to a task of this process."""
        return self._reservations.reserve(length)

    def sweep_temporary(self, *, older_than: float, live_tasks: Container[str]) -> int:
        """Clear tmp/ of dead attempts."""
        return sweep_temporary(self._root, older_than=older_than, live_tasks=live_tasks)

    def close(self) -> None:
        """Let go of the directory and of the lock on it."""
        os.close(self._lock)
        os.close(self._root)

    def _check_mounted(self) -> None:
        """Refuse to write where the path no longer leads to the directory that was opened."""
        try:
            there, held = os.stat(self._path), os.fstat(self._root)
        except OSError as error:
            raise store_error(error, f"{self._path} is gone") from error
        if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            raise ReplicaMismatch(f"{self._path} is another directory than it was")
        identify(self._root, self._path, wanted=self.replica_id)

    def _statvfs_free(self) -> int:
        with mapped(f"cannot ask {self._path} for its free space"):
            found = os.fstatvfs(self._root)
        return found.f_bavail * found.f_frsize

    def _scan(self, parts: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
        try:
            with directory(self._root, parts) as parent, os.scandir(parent) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda pair: pair[0])

    def _fill_uncached(self, descriptor: int, key: str, offset: int, *, target: memoryview) -> None:
        whole = len(target) // BLOCK_BYTES * BLOCK_BYTES
        if self._direct.allowed and whole >= _DIRECT_FROM and offset % BLOCK_BYTES == 0:
            try:
                fcntl.fcntl(descriptor, fcntl.F_SETFL, DIRECT)
                fill(descriptor, key, offset, target=target[:whole])
                offset += whole
                target = target[whole:]
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            buffered(descriptor)
        # The file is clean, so this drops what is cached of it: the medium answers, not memory.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        fill(descriptor, key, offset, target=target)

    @contextlib.contextmanager
    def _locked_refs(self) -> Iterator[None]:
        # Opened each time: a lock belongs to the open file, so it also parts threads.
        with mapped("cannot lock the refs"):
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(REFS_LOCK, flags, dir_fd=self._root)
        try:
            with mapped("cannot lock the refs"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _expect(self, key: str, expected: str | None) -> None:
        found = self.get_ref(key)
        if (None if found is None else found.tag) != expected:
            raise RefConflict(f"{key} was changed by another writer")


def _tag(data: bytes) -> str:
    return blake3(data).hexdigest()
