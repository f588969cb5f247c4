"""Clearing what dead attempts have left in a directory's tmp/."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Container

from services.replication.content.keys import TEMPORARY
from services.replication.stores.posix import directory, mapped


def sweep_temporary(root: int, *, older_than: float, live_tasks: Container[str]) -> int:
    """Delete temporary files older than `older_than` seconds whose task is not live.

    Both must hold: a paused task may be old, and a new one may not be known yet. Age is by the
    store's clock. Returns the bytes given back.
    """
    with mapped("cannot sweep temporary files"), directory(root, [TEMPORARY], create=True) as top:
        now = _clock(top)
        freed = 0
        for task in os.listdir(top):
            found = os.stat(task, dir_fd=top, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                freed += _remove(top, task, before=now - older_than)
            elif task not in live_tasks:
                freed += _sweep_task(top, task, before=now - older_than)
        return freed


def _sweep_task(top: int, task: str, *, before: float) -> int:
    freed = 0
    with directory(top, [task]) as attempts:
        for attempt in os.listdir(attempts):
            with directory(attempts, [attempt]) as files:
                freed += sum(_remove(files, name, before=before) for name in os.listdir(files))
            # An attempt that is at work has files, or makes its directory again.
            with contextlib.suppress(OSError):
                os.rmdir(attempt, dir_fd=attempts)
    with contextlib.suppress(OSError):
        os.rmdir(task, dir_fd=top)
    return freed


def _remove(parent: int, name: str, *, before: float) -> int:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if found.st_mtime > before:
            return 0
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return 0
    return found.st_size


def _clock(top: int) -> float:
    """Return the time that the file system gives to what is written now."""
    name = f".clock.{os.getpid()}.{time.monotonic_ns()}"
    descriptor = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=top
    )
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        os.unlink(name, dir_fd=top)
