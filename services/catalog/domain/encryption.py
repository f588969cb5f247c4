"""The keys that the disks of a version are encrypted with in one region (gallery-semantics 3.13).

Kept and checked; encrypting is the stores' work.
"""

import enum
from dataclasses import dataclass

from services.kernel.names import key


class ConfidentialEncryption(enum.Enum):
    """What of a confidential image is encrypted, and whose key it is."""

    ENCRYPTED_VM_GUEST_STATE_ONLY_WITH_PMK = "ENCRYPTED_VM_GUEST_STATE_ONLY_WITH_PMK"
    ENCRYPTED_WITH_PMK = "ENCRYPTED_WITH_PMK"
    ENCRYPTED_WITH_CMK = "ENCRYPTED_WITH_CMK"
    NON_PERSISTED_TPM = "NON_PERSISTED_TPM"


@dataclass(frozen=True, slots=True)
class DataDiskKey:
    """The encryption set of a data disk."""

    lun: int
    set: str


@dataclass(frozen=True, slots=True)
class RegionEncryption:
    """The encryption of a version in a region; sets are names, empty for none.

    `confidential` is given for confidential images alone; `secure_set` is the set of its key.
    """

    os_set: str = ""
    confidential: ConfidentialEncryption | None = None
    secure_set: str = ""
    data: tuple[DataDiskKey, ...] = ()

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of all sets, each as often as it is named."""
        found = (self.os_set, self.secure_set, *(one.set for one in self.data))
        return tuple(one for one in found if one)

    @property
    def shape(self) -> tuple[bool, bool]:
        """What all regions of a version have in common: keys of a customer, and a profile."""
        return bool(self.sets), self.confidential is not None

    @property
    def identity(self) -> tuple[object, ...]:
        """What encryptions are compared by: names by their keys, data disks by LUN."""
        data = sorted((one.lun, key(one.set)) for one in self.data)
        return key(self.os_set), self.confidential, key(self.secure_set), tuple(data)


def alike(one: RegionEncryption | None, other: RegionEncryption | None) -> bool:
    """Whether two entries for a region encrypt alike."""
    if one is None or other is None:
        return one is other
    return one.identity == other.identity
