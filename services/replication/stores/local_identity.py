"""What makes a directory a store: its FORMAT, its replica id and its locks."""

from __future__ import annotations

import fcntl
import os
from typing import Final

from services.replication.content.errors import ReplicaMismatch, StoreBusy
from services.replication.content.keys import FORMAT_KEY, REPLICA_ID_KEY
from services.replication.stores.layout import check_format, format_file, new_replica_id
from services.replication.stores.posix import mapped, read_file, write_file

LOCK: Final = "lock"
REFS_LOCK: Final = "refs.lock"

_NEW_ID: Final = f"{REPLICA_ID_KEY}.new"
_LIMIT: Final = 4096


def initialise_directory(path: str) -> str:
    """Make an empty or missing directory a store and return its new replica id.

    On a directory that is one already, its id is returned. ReplicaMismatch where it holds
    anything else.
    """
    with mapped(f"cannot initialise {path}"):
        os.makedirs(path, mode=0o700, exist_ok=True)
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(root, fcntl.LOCK_EX)
            known = read_file(root, REPLICA_ID_KEY, _LIMIT)
            return _initialise(root, path) if known is None else known.decode().strip()
        finally:
            os.close(root)


def _initialise(root: int, path: str) -> str:
    # The replica id is written last: what is here without it was left by a crash in this function.
    ours = {FORMAT_KEY, LOCK, REFS_LOCK, _NEW_ID}
    found = set(os.listdir(root))
    if found - ours - {"lost+found"}:
        raise ReplicaMismatch(f"{path} is not empty and not a store")
    for name in found & ours:
        os.unlink(name, dir_fd=root)
    replica_id = new_replica_id()
    write_file(root, FORMAT_KEY, format_file())
    write_file(root, LOCK, b"")
    write_file(root, REFS_LOCK, b"")
    os.fsync(root)
    # Not in place: a torn id would make the store unusable for ever.
    write_file(root, _NEW_ID, f"{replica_id}\n".encode())
    os.rename(_NEW_ID, REPLICA_ID_KEY, src_dir_fd=root, dst_dir_fd=root)
    os.fsync(root)
    return replica_id


def identify(root: int, path: str, *, wanted: str | None) -> str:
    """Return the replica id of an open directory; ReplicaMismatch where it is not `wanted`."""
    with mapped(f"cannot open {path}"):
        form = read_file(root, FORMAT_KEY, _LIMIT)
        found = read_file(root, REPLICA_ID_KEY, _LIMIT)
    if form is None or found is None:
        raise ReplicaMismatch(f"{path} is not an initialised store; is it mounted?")
    check_format(form, path)
    replica_id = found.decode().strip()
    if wanted not in {None, replica_id}:
        raise ReplicaMismatch(f"{path} is replica {replica_id}, not {wanted}")
    return replica_id


def hold(root: int, path: str, *, exclusive: bool) -> int:
    """Lock an open directory against those who want it alone, or against all; the lock's file.

    StoreBusy where another process has it.
    """
    with mapped(f"cannot lock {path}"):
        descriptor = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        try:
            mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StoreBusy(f"{path} is held by another process") from None
    return descriptor
