"""What the storage profile of a version is compared by: its disks never change."""

from dataclasses import dataclass

from services.catalog.domain.hardware import HostCaching


@dataclass(frozen=True, slots=True)
class ProfileDisk:
    """A disk of a storage profile: the key of its source, and how it is cached where that is given.

    The source is empty where all disks have one source together.
    """

    disk: str
    source: str = ""
    caching: HostCaching | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a storage profile is compared by: `whole` is a kind of source and the key of its name.

    `disks` are in their order.
    """

    whole: tuple[str, str] | None
    disks: tuple[ProfileDisk, ...]

    def is_of(self, stored: "Profile") -> bool:
        """Whether what a request sends is the stored one: what it leaves open is as it is."""
        known = {one.disk: one for one in stored.disks}
        if self.whole != stored.whole or any(one.disk not in known for one in self.disks):
            return False
        if self.whole is None and len(self.disks) != len(known):
            return False
        return all(
            one.source == known[one.disk].source and one.caching in {None, known[one.disk].caching}
            for one in self.disks
        )
