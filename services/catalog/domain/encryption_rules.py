"""What the encryption of the target regions of a version must be (gallery-semantics 3.13).

One region with keys means that all have them, and that every disk has one; the regions that a
version has keep theirs. What a request shows wrong by itself is told of its fields, what only
the stored version, its definition or a set shows is told as a precondition.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.catalog.domain import reasons
from services.catalog.domain.disk_encryption_set import DiskEncryptionSet, EncryptionType
from services.catalog.domain.encryption import ConfidentialEncryption, RegionEncryption
from services.catalog.domain.features import CONFIDENTIAL
from services.catalog.domain.names import DISK_ENCRYPTION_SETS, OS_DISK, subscription_of
from services.catalog.domain.version import TargetRegion
from services.kernel.errors import InvalidArgument
from services.kernel.names import key
from services.kernel.violations import Violations

_OS = "os_disk_image"
_PROFILE = f"{_OS}.security_profile"
_SECURE = f"{_PROFILE}.secure_vm_disk_encryption_set"
_DATA = "data_disk_images"


class Entry(Protocol):
    """An entry of a list of target regions, and its path in the request."""

    @property
    def target(self) -> TargetRegion:
        """The region."""

    @property
    def path(self) -> str:
        """Where it stands."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry as it was sent, before its region is known."""

    target: TargetRegion
    path: str


def entries(sent: Sequence[TargetRegion], path: str) -> list[Sent]:
    """Answer target regions with their paths below that of their list."""
    return [Sent(one, f"{path}[{index}]") for index, one in enumerate(sent)]


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set that a target region names: where, and whether for a confidential machine."""

    name: str
    path: str
    location: str
    secure: bool = False


def named_sets(placed: Sequence[Entry]) -> list[NamedSet]:
    """Answer the sets that target regions name, in their order."""
    found: list[NamedSet] = []
    for one, encryption, path in _encrypted(placed):
        location = one.target.location
        if encryption.os_set:
            set_path = f"{path}.{_OS}.disk_encryption_set"
            found.append(NamedSet(encryption.os_set, set_path, location))
        if encryption.secure_set:
            found.append(
                NamedSet(encryption.secure_set, f"{path}.{_SECURE}", location, secure=True)
            )
        found += [
            NamedSet(disk.set, f"{path}.{_DATA}[{index}].disk_encryption_set", location)
            for index, disk in enumerate(encryption.data)
            if disk.set
        ]
    return found


def check_request(placed: Sequence[Entry], violations: Violations) -> None:
    """Note what the encryption of target regions shows wrong by itself."""
    for named in named_sets(placed):
        try:
            DISK_ENCRYPTION_SETS.parse(named.name, field=named.path)
        except InvalidArgument:
            _add(
                violations,
                named.path,
                f"'{named.name}' is no name of a disk encryption set",
                reason=reasons.ENCRYPTION_SET_INVALID,
                metadata={"disk_encryption_set": named.name},
            )
    for _, encryption, path in _encrypted(placed):
        _check_profile(encryption, path, violations)
        seen: set[int] = set()
        for index, disk in enumerate(encryption.data):
            if disk.lun in seen:
                _add(
                    violations,
                    f"{path}.{_DATA}[{index}].lun",
                    f"LUN {disk.lun} is given twice",
                    reason=reasons.ENCRYPTION_LUN_INVALID,
                    metadata={"lun": str(disk.lun)},
                )
            seen.add(disk.lun)


def check_alike(placed: Sequence[Entry], violations: Violations) -> None:
    """Note the regions of a whole list that lack what others of it have."""
    shapes = [_shape(one.target) for one in placed]
    wanted = max(shapes, default=(False, False, False))
    for one, shape in zip(placed, shapes, strict=True):
        if shape != wanted:
            _add(
                violations,
                f"{one.path}.encryption",
                "with encryption in one region, all regions must have it, and of the same kind",
                reason=reasons.ENCRYPTION_INCOMPLETE,
                metadata={"location": one.target.location},
            )


def check_added(
    added: Sequence[Entry], present: Sequence[TargetRegion], violations: Violations
) -> None:
    """Note added regions that are encrypted otherwise than those that the version has."""
    wanted = max((_shape(one) for one in present), default=(False, False, False))
    for one in added:
        if _shape(one.target) != wanted:
            violations.precondition(
                reasons.ENCRYPTION_INCOMPLETE,
                f"{one.path}.encryption",
                "encryption must be that of the regions that the version has: "
                "a version gets it when it is created, in all regions, or never",
                reason=reasons.ENCRYPTION_INCOMPLETE,
                metadata={"location": one.target.location},
            )


def check_disks(
    placed: Sequence[Entry],
    disks: Sequence[str],
    violations: Violations,
    *,
    stored: bool,
) -> None:
    """Note disks without a key beside those that have one, and keys of disks that are not there.

    `disks` are the keys of the version's disks; `stored` says that they are no part of the
    request.
    """
    note = _precondition if stored else _add
    luns = {one for one in disks if one != OS_DISK}
    for one, encryption, path in _encrypted(placed):
        location = {"location": one.target.location}
        for index, disk in enumerate(encryption.data):
            if str(disk.lun) not in luns:
                note(
                    violations,
                    f"{path}.{_DATA}[{index}].lun",
                    f"the version has no data disk with LUN {disk.lun}",
                    reason=reasons.ENCRYPTION_LUN_INVALID,
                    metadata={"lun": str(disk.lun)},
                )
        if not encryption.sets:
            continue
        if not encryption.os_set and encryption.confidential is None:
            note(
                violations,
                f"{path}.{_OS}",
                "the OS disk has no encryption set, and other disks have",
                reason=reasons.ENCRYPTION_INCOMPLETE,
                metadata=location,
            )
        for lun in sorted(luns - {str(disk.lun) for disk in encryption.data}, key=int):
            note(
                violations,
                f"{path}.{_DATA}",
                f"the data disk with LUN {lun} has no encryption set, and other disks have",
                reason=reasons.ENCRYPTION_INCOMPLETE,
                metadata=location,
            )


def check_confidential(placed: Sequence[Entry], security_type: str, violations: Violations) -> None:
    """Note a confidential encryption of an image that is not confidential."""
    if security_type in CONFIDENTIAL:
        return
    for _, encryption, path in _encrypted(placed):
        if encryption.confidential is not None:
            _precondition(
                violations,
                f"{path}.{_PROFILE}",
                f"is for confidential images alone, and this one is {security_type}",
                reason=reasons.ENCRYPTION_SET_INVALID,
                metadata={"disk_encryption_set": encryption.secure_set},
            )


def check_set(
    named: NamedSet, found: DiskEncryptionSet | None, version: str, violations: Violations
) -> None:
    """Note a set that cannot serve a version where it is named.

    `found` is None where it was not looked for, because it is in another subscription.
    """
    if found is None or key(subscription_of(named.name)) != key(subscription_of(version)):
        _precondition(
            violations,
            named.path,
            f"{named.name} is in another subscription than the version",
            reason=reasons.ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION,
            metadata={"resource": named.name},
        )
        return
    if found.location != named.location:
        _precondition(
            violations,
            named.path,
            f"{found.name} is in {found.location}, not in {named.location}",
            reason=reasons.ENCRYPTION_SET_IN_OTHER_REGION,
            metadata={"resource": found.name, "location": found.location},
        )
    confidential = found.encryption_type is EncryptionType.CONFIDENTIAL_VM_WITH_CUSTOMER_KEY
    if confidential is not named.secure:
        _precondition(
            violations,
            named.path,
            f"{found.name} is of type {found.encryption_type.value}, which cannot serve here",
            reason=reasons.ENCRYPTION_SET_INVALID,
            metadata={"disk_encryption_set": found.name},
        )


def _check_profile(encryption: RegionEncryption, path: str, violations: Violations) -> None:
    customer = encryption.confidential is ConfidentialEncryption.ENCRYPTED_WITH_CMK
    if customer and not encryption.secure_set:
        problem = "is required with ENCRYPTED_WITH_CMK"
    elif encryption.secure_set and encryption.confidential is not None and not customer:
        problem = f"is not for {encryption.confidential.value}"
    else:
        return
    _add(
        violations,
        f"{path}.{_SECURE}",
        problem,
        reason=reasons.ENCRYPTION_SET_INVALID,
        metadata={"disk_encryption_set": encryption.secure_set},
    )


def _shape(target: TargetRegion) -> tuple[bool, bool, bool]:
    return (True, *target.encryption.shape) if target.encryption else (False, False, False)


def _encrypted(
    placed: Sequence[Entry],
) -> Iterator[tuple[Entry, RegionEncryption, str]]:
    for one in placed:
        if one.target.encryption is not None:
            yield one, one.target.encryption, f"{one.path}.encryption"


def _add(
    violations: Violations,
    field: str,
    problem: str,
    *,
    reason: str,
    metadata: Mapping[str, str],
) -> None:
    violations.add(field, problem, reason=reason, metadata=metadata)


def _precondition(
    violations: Violations,
    field: str,
    problem: str,
    *,
    reason: str,
    metadata: Mapping[str, str],
) -> None:
    violations.precondition(reason, field, problem, reason=reason, metadata=metadata)
