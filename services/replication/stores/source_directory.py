"""Files of a directory of this machine as sources, and nothing outside of it.

A path is walked part by part below the opened directory, and no link is followed anywhere: what
is opened lies in the directory, whatever is renamed or linked meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from services.replication.content.errors import SourceUnavailable
from services.replication.content.keys import REPLICA_ID_KEY
from services.replication.content.source import OPEN_FLAGS, FileSource

_ROOT: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DEEPER: Final = _ROOT | os.O_NOFOLLOW


class SourceDirectory:
    """A directory whose files may be sources; `name` is what it is called in errors."""

    def __init__(self, path: str, name: str) -> None:
        self._path: Final = path
        self._name: Final = name

    def check(self) -> None:
        """Raise SourceUnavailable unless the directory is there."""
        os.close(self._root())

    def open(self, path: str) -> FileSource:
        """Open and pin a regular file below the directory.

        Raises:
            SourceMissing: there is none of that name; a link, and what lies in a region's store,
                is none.
            SourceUnavailable: it cannot be opened, or the directory is away.
        """
        self.check()
        return FileSource(f"{self._name}/{path}", opener=lambda: self._descriptor(path))

    def _descriptor(self, path: str) -> int:
        *parents, name = path.split("/")
        if "\0" in path or any(part in {"", ".", ".."} for part in (*parents, name)):
            raise _absent()
        current = self._root()
        try:
            _require_no_store(current)
            for part in parents:
                deeper = os.open(part, _DEEPER, dir_fd=current)
                os.close(current)
                current = deeper
                _require_no_store(current)
            # Asked before it is opened: opening alone may do something to a device.
            if not stat.S_ISREG(os.stat(name, dir_fd=current, follow_symlinks=False).st_mode):
                raise _absent()
            return os.open(name, OPEN_FLAGS, dir_fd=current)
        finally:
            os.close(current)

    def _root(self) -> int:
        try:
            root = os.open(self._path, _ROOT)
        except OSError as error:
            raise SourceUnavailable(
                f"the source store {self._name} cannot be opened: {error.strerror}"
            ) from error
        return root


def _require_no_store(directory: int) -> None:
    """Keep the objects of regions, which are all tenants', from being read as files."""
    try:
        os.stat(REPLICA_ID_KEY, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    raise _absent()


def _absent() -> OSError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
