"""A file that is being pulled: sparse, resumable, renamed when it is complete."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.errors import CliError, ExitCode
from cli.transfer.disk_file import DiskFile


class PartialFile(DiskFile):
    """`<name>.part` beside the file; what it holds from before counts where it is right."""

    def __init__(self, path: Path, layout: DiskLayout, digests: list[bytes] | None) -> None:
        super().__init__(path, layout, digests)
        self._part: Final = path.with_name(path.name + ".part")
        self._made: Path | None = None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.fd = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self.fd)
            raise CliError(
                f"Another command pulls into {self.path}.", code=ExitCode.CONFLICT
            ) from error
        if self._digests is None:
            os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, self._layout.size_bytes)

    def append(self, data: bytes) -> None:
        """Put what is no part of the disk behind it; the next pull cuts it off again."""
        self._pwrite(memoryview(data), self._layout.size_bytes)
        self.sync()

    def rewrite(self, write: Callable[[int, int, int], None]) -> None:
        """Make another file of the disk, which gets the name in place of this one.

        `write` is given this file, the size of the disk and the other file.
        """
        made = self.path.with_name(self.path.name + ".new")
        with made.open("wb") as file:
            write(self.fd, self._layout.size_bytes, file.fileno())
            os.fsync(file.fileno())
        self._made = made

    def finish(self) -> None:
        """Give the file its name."""
        if self._made is None:
            self._part.replace(self.path)
        else:
            self._made.replace(self.path)
            self._part.unlink()
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
