"""Files of disks as their specifications have them, made without the code that reads them.

Each maker answers the bytes of a file that holds a disk; blocks of zeros are left out of it.
"""

from tests.disk_files.qcow2 import qcow2
from tests.disk_files.vhd import dynamic_vhd
from tests.disk_files.vhdx import vhdx
from tests.disk_files.vmdk import sparse_vmdk, stream_vmdk

__all__ = ["dynamic_vhd", "patched", "qcow2", "sparse_vmdk", "stream_vmdk", "vhdx"]


def patched(file: bytes, at: int, value: bytes) -> bytes:
    """The file with other bytes at `at`."""
    assert at + len(value) <= len(file)
    return file[:at] + value + file[at + len(value) :]
