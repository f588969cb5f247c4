"""Where a version is wanted: what the list of regions must be (gallery-semantics 3.4, 3.11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.catalog.domain import reasons
from services.catalog.domain.features import CONFIDENTIAL
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.region import Region, location_key
from services.catalog.domain.version import ReplicationMode, TargetRegion, Version
from services.kernel.violations import Violations


@dataclass(frozen=True, slots=True)
class Placement:
    """A target region that is known, and the path of its entry in the request."""

    target: TargetRegion
    region: Region
    path: str


def place(
    sent: Sequence[TargetRegion],
    regions: Mapping[str, Region | None],
    path: str,
    violations: Violations,
    *,
    known: Sequence[str],
) -> list[Placement]:
    """Answer the regions that are known, by their ids and in their order.

    Notes those that are unknown, and those that are named twice however they are spelled.
    """
    found: list[Placement] = []
    seen: set[str] = set()
    for index, target in enumerate(sent):
        field = f"{path}[{index}].location"
        region = regions.get(target.location)
        identity = region.id if region else location_key(target.location)
        if identity in seen:
            violations.add(
                field,
                f"'{target.location}' is named twice",
                reason=reasons.REGION_REPEATED,
                metadata={"location": target.location},
            )
        elif region is not None:
            placed = replace(target, location=region.id)
            found.append(Placement(placed, region, f"{path}[{index}]"))
        elif target.location:
            note_unknown(violations, field, target.location, known=known)
        seen.add(identity)
    return found


def note_unknown(violations: Violations, field: str, text: str, *, known: Sequence[str]) -> None:
    """Note a region that the installation does not have, with those that it has."""
    listed = ", ".join(known) or "none"
    violations.add(
        field,
        f"'{text}' is no region of this installation; it has {listed}",
        reason=reasons.REGION_UNKNOWN,
        metadata={"location": text, "known": ",".join(known)},
    )


def check_home(
    placed: Sequence[Placement],
    home: str,
    path: str,
    violations: Violations,
    *,
    stored: bool = False,
) -> None:
    """Note a list that lacks the region of the version itself.

    Where that is `stored`, the request alone shows no fault; that a list is empty it does show.
    """
    if any(one.target.location == home for one in placed):
        return
    problem = f"the region of the version, {home}, must be among its target regions"
    reason, metadata = reasons.HOME_REGION_MISSING, {"location": home}
    if stored and placed:
        violations.precondition(reason, path, problem, reason=reason, metadata=metadata)
    else:
        violations.add(path, problem, reason=reason, metadata=metadata)


def check_shallow(
    version: Version, placed: Sequence[Placement], path: str, violations: Violations
) -> None:
    """Note what a shallow version cannot have: other regions, replicas or a customer's keys."""
    if version.mode is not ReplicationMode.SHALLOW:
        return
    if any(
        one.target.location != version.location
        or version.count_in(one.target) > 1
        or (one.target.encryption is not None and one.target.encryption.sets)
        for one in placed
    ):
        violations.add(
            path,
            "a shallow version has its home region alone, with one replica and no encryption sets",
            reason=reasons.SHALLOW_SHAPE_INVALID,
        )


def check_capacity(version: Version, placed: Sequence[Placement], violations: Violations) -> None:
    """Note the regions that do not have what is wanted there."""
    for one in placed:
        wanted = version.count_in(one.target)
        storage = version.storage_in(one.target)
        maximum = one.region.capacity(storage)
        metadata = {"location": one.region.id, "storage_account_type": storage.value}
        if storage is StorageType.STANDARD_ZRS and not one.region.zones:
            _refuse(
                violations,
                one,
                reasons.ZONE_UNAVAILABLE,
                f"{one.region.id} has no zones, which {storage.value} needs",
                {"location": one.region.id},
            )
        elif maximum == 0:
            _refuse(
                violations,
                one,
                reasons.STORAGE_TYPE_UNAVAILABLE,
                f"{one.region.id} has no store for {storage.value}",
                metadata,
            )
        elif wanted > maximum:
            _refuse(
                violations,
                one,
                reasons.REPLICA_CAPACITY,
                f"{one.region.id} takes at most {maximum} replicas on {storage.value}, "
                f"and {wanted} are wanted",
                metadata | {"wanted": str(wanted), "maximum": str(maximum)},
            )


def check_confidential(
    placed: Sequence[Placement], security_type: str, violations: Violations
) -> None:
    """Note the regions that lack what a confidential image needs."""
    if security_type not in CONFIDENTIAL:
        return
    for one in placed:
        if not one.region.confidential:
            _refuse(
                violations,
                one,
                reasons.CONFIDENTIAL_UNAVAILABLE,
                f"{one.region.id} takes no confidential images, and this one is {security_type}",
                {"location": one.region.id},
            )


def check_replica_sets(placed: Sequence[Placement], violations: Violations) -> None:
    """Note additional replica sets of which two are of one kind."""
    for one in placed:
        seen: set[StorageType] = set()
        for index, found in enumerate(one.target.additional):
            if found.storage_type in seen:
                violations.add(
                    f"{one.path}.additional_replica_sets[{index}].storage_account_type",
                    f"{found.storage_type.value} is given twice",
                )
            seen.add(found.storage_type)


def _refuse(  # noqa: PLR0917 - the parts of one violation
    violations: Violations,
    one: Placement,
    reason: str,
    description: str,
    metadata: Mapping[str, str],
) -> None:
    violations.precondition(reason, one.path, description, reason=reason, metadata=metadata)
