"""The formats of the files that disks are pulled into."""

import enum
from typing import Final

from cli.errors import CliError

_MIB: Final = 1 << 20


class FileFormat(enum.Enum):
    """What a pulled file is: the bytes of the disk, a VHD of fixed size, or a QCOW2."""

    RAW = "raw"
    VHD = "vhd"
    QCOW2 = "qcow2"

    @property
    def suffix(self) -> str:
        """What names of such files end with."""
        return ".img" if self is FileFormat.RAW else f".{self.value}"

    def check(self, size: int) -> None:
        """Check that such a file can hold a disk of `size` bytes.

        Raises:
            CliError: readers of VHDs take nothing but whole MiB, and zeros behind the end of a
                disk would be another disk.
        """
        if self is FileFormat.VHD and size % _MIB:
            raise CliError(
                "No VHD can hold this disk.",
                why=(f"it has {size} bytes, which is not a multiple of 1 MiB",),
                todo="Pull it with --format raw or qcow2.",
            )
