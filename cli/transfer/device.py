"""A block device that a disk is pulled into, in place."""

import errno
import os

from cli.errors import CliError, ExitCode
from cli.output import human_bytes
from cli.transfer.disk_file import DiskFile


class BlockDevice(DiskFile):
    """What the device holds counts where it is right; it has no holes, so zeros are written.

    What lies behind the end of the disk stays as it is.
    """

    def _open(self) -> None:
        try:
            # Exclusive: neither a mounted file system nor another program may use it meanwhile.
            self.fd = os.open(self.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            raise CliError(f"{self.path} is in use.", code=ExitCode.CONFLICT) from error
        there = os.lseek(self.fd, 0, os.SEEK_END)
        wanted = self._layout.size_bytes
        if there < wanted:
            os.close(self.fd)
            raise CliError(
                f"{self.path} is too small.",
                why=(
                    f"the disk has {human_bytes(self._layout.size_bytes)}, it {human_bytes(there)}",
                ),
            )

    def finish(self) -> None:
        """Do nothing: a device has its name already."""
