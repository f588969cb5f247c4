"""The sources of a version: the right to them, what they are, and whether they fit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.definition import Definition
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.features import security_type
from services.catalog.domain.hardware import HostCaching
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.resource import ProvisioningState
from services.catalog.domain.version import Version, WholeSource, WholeSourceKind
from services.catalog.ports.sources import Inspection, Sources
from services.catalog.ports.transaction import Tx
from services.catalog.usecases.linked import Demand
from services.kernel.errors import NotFound, ResourceInfo, Unimplemented
from services.kernel.names import Pattern, fold, key
from services.kernel.violations import Violations

_PROFILE: Final = "image_version.storage_profile"
_COMPUTE: Final = "Microsoft.Compute"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk of a request: `path` is that of its entry, `kind` the field of its source.

    `kind` and `name` are empty where it has no source of its own.
    """

    disk: str
    path: str
    kind: str = ""
    name: str = ""
    host_caching: HostCaching | None = None


_WHOLE: Final[dict[WholeSourceKind, tuple[Pattern, str]]] = {
    WholeSourceKind.VIRTUAL_MACHINE: (
        names.VIRTUAL_MACHINES,
        f"{_COMPUTE}/virtualMachines/write",
    ),
    WholeSourceKind.MANAGED_IMAGE: (names.MANAGED_IMAGES, f"{_COMPUTE}/images/read"),
    WholeSourceKind.IMAGE_VERSION: (
        names.VERSIONS,
        f"{_COMPUTE}/galleries/images/versions/read",
    ),
    WholeSourceKind.SHARED_VERSION: (
        names.SHARED_VERSIONS,
        f"{_COMPUTE}/locations/sharedGalleries/images/versions/read",
    ),
    WholeSourceKind.COMMUNITY_VERSION: (
        names.COMMUNITY_VERSIONS,
        f"{_COMPUTE}/locations/communityGalleries/images/versions/read",
    ),
}
_STORAGE: Final = "Microsoft.Storage/storageAccounts"
_DISKS: Final[dict[str, tuple[Pattern, tuple[str, ...]]]] = {
    "disk": (names.DISKS, (f"{_COMPUTE}/disks/write",)),
    "snapshot": (names.SNAPSHOTS, (f"{_COMPUTE}/snapshots/write",)),
    "blob": (names.BLOBS, (f"{_COMPUTE}/disks/write",)),
    "vhd": (names.STORAGE_ACCOUNTS, (f"{_STORAGE}/write", f"{_STORAGE}/listKeys/action")),
}


def check_shape(
    whole: WholeSource | None, disks: Sequence[DiskSpec], violations: Violations
) -> list[Demand]:
    """Note what is wrong with the sources by themselves; answer the rights that they need."""
    seen: set[str] = set()
    for one in disks:
        if one.disk in seen:
            violations.add(
                f"{one.path}.lun",
                f"LUN {one.disk} is given twice",
                reason=reasons.LUN_REPEATED,
                metadata={"lun": one.disk},
            )
        seen.add(one.disk)
    if whole is not None:
        return _check_whole(whole, disks, violations)
    return _check_disks(disks, violations)


def _check_whole(
    whole: WholeSource, disks: Sequence[DiskSpec], violations: Violations
) -> list[Demand]:
    for one in disks:
        if one.kind:
            violations.add(
                f"{one.path}.source",
                "a version has one source for all disks, or one for each, not both",
                reason=reasons.SOURCE_KIND_INVALID,
            )
    pattern, action = _WHOLE[whole.kind]
    field = f"{_PROFILE}.source.{whole.kind.value}"
    with violations.collect():
        pattern.parse(whole.name, field=field)
        return [Demand(action, whole.name, field)]
    return []


def _check_disks(disks: Sequence[DiskSpec], violations: Violations) -> list[Demand]:
    if not any(one.disk == names.OS_DISK and one.kind for one in disks):
        violations.add(
            f"{_PROFILE}.os_disk_image.source" if disks else f"{_PROFILE}.source",
            "a version needs a source: one for all disks, or one for each and an OS disk",
            reason=reasons.SOURCE_KIND_INVALID,
        )
    demands: list[Demand] = []
    seen: set[str] = set()
    for one in disks:
        if not one.kind:
            if one.disk != names.OS_DISK:
                violations.add(
                    f"{one.path}.source", "is required", reason=reasons.SOURCE_KIND_INVALID
                )
            continue
        field = f"{one.path}.source.{one.kind}"
        pattern, actions = _DISKS[one.kind]
        with violations.collect():
            pattern.parse(one.name, field=field)
            demands += [Demand(action, one.name, field) for action in actions]
        identity = f"{one.kind}:{key(one.name)}"
        if identity in seen:
            violations.add(
                field,
                f"{one.name} is the source of another disk too",
                reason=reasons.SOURCE_REPEATED,
                metadata={"source": one.name},
            )
        seen.add(identity)
    return demands


def inspect_blobs(
    disks: Sequence[DiskSpec], location: str, sources: Sources, violations: Violations
) -> tuple[SourceDisk, ...]:
    """Answer the disks that are made from blobs, as replication finds them.

    Raises:
        NotFound: SOURCE_NOT_FOUND.
        Unavailable: replication does not answer.
    """
    found: list[SourceDisk] = []
    for one in disks:
        inspection = None
        if one.kind == "blob":
            inspection = sources.inspect(ByteSource(SourceKind.BLOB, one.name))
        if inspection is None:
            violations.raise_if_any()
            raise _not_found(f"stoa.dev/{one.kind.capitalize()}", one.name)
        _check_blob(one, inspection, location, violations)
        found.append(
            SourceDisk(
                disk=one.disk,
                source=ByteSource(SourceKind.BLOB, one.name, inspection.uid),
                size_bytes=inspection.size_bytes,
                format=inspection.format,
                root_digest=inspection.root_digest,
                host_caching=one.host_caching or HostCaching.NONE,
            )
        )
    return tuple(sorted(found, key=lambda disk: names.disk_order(disk.disk)))


def _check_blob(spec: DiskSpec, found: Inspection, location: str, violations: Violations) -> None:
    if found.problem:
        reason = (
            reasons.SOURCE_FORMAT_INVALID
            if "FORMAT" in found.problem or "REFERENCE" in found.problem
            else reasons.SOURCE_NOT_READY
        )
        _refuse(violations, reason, spec.name, f"{spec.name} is not ready: {found.problem}")
    if location and found.location != location:
        _elsewhere(violations, spec.name, found.location, location)


def from_whole(
    tx: Tx,
    whole: WholeSource,
    specs: Sequence[DiskSpec],
    version_location: str,
    *,
    definition: Definition,
    violations: Violations,
) -> tuple[WholeSource, tuple[SourceDisk, ...]]:
    """Answer the source with its uid, and the disks that it gives.

    Raises:
        NotFound: SOURCE_NOT_FOUND.
        Unimplemented: a kind of source that is not built yet.
    """
    match whole.kind:
        case WholeSourceKind.MANAGED_IMAGE:
            image = tx.managed_images.get(key(whole.name), share=True)
            if image is None:
                violations.raise_if_any()
                raise _not_found(names.MANAGED_IMAGE_TYPE, whole.name)
            _check_image(image, version_location, definition, violations)
            found = replace(whole, name=image.name, uid=image.uid)
            return found, _cached(image.disks, specs, violations)
        case WholeSourceKind.IMAGE_VERSION:
            source = tx.versions.get(key(whole.name), share=True)
            if source is None:
                violations.raise_if_any()
                raise _not_found(names.VERSION_TYPE, whole.name)
            return _from_version(
                tx, source, specs, version_location, definition=definition, violations=violations
            )
        case WholeSourceKind.VIRTUAL_MACHINE:
            violations.raise_if_any()
            raise _not_found(names.VIRTUAL_MACHINE_TYPE, whole.name)
        case WholeSourceKind.SHARED_VERSION | WholeSourceKind.COMMUNITY_VERSION:
            violations.raise_if_any()
            raise Unimplemented("a view as the source of a version is not built yet")


def _from_version(
    tx: Tx,
    source: Version,
    specs: Sequence[DiskSpec],
    location: str,
    *,
    definition: Definition,
    violations: Violations,
) -> tuple[WholeSource, tuple[SourceDisk, ...]]:
    if location and (source.deleting or not tx.versions.is_usable(source.uid, location)):
        _refuse(
            violations,
            reasons.SOURCE_NOT_READY,
            source.name,
            f"{source.name} cannot be used in {location}",
        )
    origin = tx.definitions.get(key(source.name.rpartition("/versions/")[0]))
    if origin is not None:
        _compare(
            violations,
            source.name,
            (reasons.SOURCE_OS_TYPE_MISMATCH, origin.os_type, definition.os_type),
            (reasons.SOURCE_OS_STATE_MISMATCH, origin.os_state, definition.os_state),
            (
                reasons.SOURCE_GENERATION_MISMATCH,
                origin.hyper_v_generation,
                definition.hyper_v_generation,
            ),
            (
                reasons.SOURCE_ARCHITECTURE_MISMATCH,
                origin.architecture,
                definition.architecture,
            ),
            (reasons.SOURCE_PLAN_MISMATCH, _plan(origin), _plan(definition)),
        )
    disks = tuple(
        replace(
            one,
            source=ByteSource(SourceKind.IMAGE_VERSION, source.name, source.uid, disk=one.disk),
        )
        for one in source.disks
    )
    found = WholeSource(WholeSourceKind.IMAGE_VERSION, source.name, source.uid)
    return found, _cached(disks, specs, violations)


def _check_image(
    image: ManagedImage, location: str, definition: Definition, violations: Violations
) -> None:
    if image.state is not ProvisioningState.SUCCEEDED:
        _refuse(
            violations,
            reasons.SOURCE_NOT_READY,
            image.name,
            f"{image.name} is {image.state.value}",
        )
    if location and image.location != location:
        _elsewhere(violations, image.name, image.location, location)
    _compare(
        violations,
        image.name,
        (reasons.SOURCE_OS_TYPE_MISMATCH, image.os_type, definition.os_type),
        (reasons.SOURCE_OS_STATE_MISMATCH, image.os_state, definition.os_state),
        (
            reasons.SOURCE_GENERATION_MISMATCH,
            image.hyper_v_generation,
            definition.hyper_v_generation,
        ),
        (reasons.SOURCE_ARCHITECTURE_MISMATCH, image.architecture, definition.architecture),
        (reasons.SOURCE_PLAN_MISMATCH, _plan(image), _plan(definition)),
    )
    security = security_type(definition.features)
    if image.carries_vm_guest_state and fold(security).endswith("supported"):
        _refuse(
            violations,
            reasons.SOURCE_CARRIES_GUEST_STATE,
            image.name,
            f"{image.name} carries guest state, which {security} cannot have",
        )


def check_sizes(disks: Sequence[SourceDisk], limit: int, violations: Violations) -> None:
    """Note the disks that are larger than the replication mode takes (gallery-semantics 3.3)."""
    for one in disks:
        if one.size_bytes > limit:
            violations.precondition(
                reasons.SOURCE_TOO_LARGE,
                one.source.name,
                f"disk {one.disk} has {one.size_bytes} bytes, at most {limit} are taken",
                reason=reasons.SOURCE_TOO_LARGE,
                metadata={
                    "resource": one.source.name,
                    "size_bytes": str(one.size_bytes),
                    "maximum_bytes": str(limit),
                },
            )


def _cached(
    disks: Sequence[SourceDisk], specs: Sequence[DiskSpec], violations: Violations
) -> tuple[SourceDisk, ...]:
    """Answer disks cached as the request says beside a source for all of them."""
    by_disk = {one.disk: one for one in disks}
    for spec in specs:
        if spec.disk not in by_disk:
            violations.add(
                spec.path,
                f"the source has no disk {spec.disk}",
                reason=reasons.SOURCE_KIND_INVALID,
            )
        elif spec.host_caching is not None:
            disk = by_disk[spec.disk]
            by_disk[spec.disk] = replace(disk, host_caching=spec.host_caching)
    return tuple(sorted(by_disk.values(), key=lambda one: names.disk_order(one.disk)))


def _plan(of: Definition | ManagedImage) -> tuple[str, ...]:
    plan = of.purchase_plan
    return () if plan is None else (fold(plan.name), fold(plan.publisher), fold(plan.product))


def _compare(violations: Violations, resource: str, *pairs: tuple[str, object, object]) -> None:
    for reason, found, wanted in pairs:
        if found != wanted:
            _refuse(
                violations,
                reason,
                resource,
                f"{resource} does not match the definition: {_shown(found)}, not {_shown(wanted)}",
            )


def _shown(value: object) -> str:
    return str(getattr(value, "value", value) or "none")


def _elsewhere(violations: Violations, resource: str, found: str, wanted: str) -> None:
    violations.precondition(
        reasons.SOURCE_LOCATION_MISMATCH,
        resource,
        f"{resource} is in {found}, and the version in {wanted}",
        reason=reasons.SOURCE_LOCATION_MISMATCH,
        metadata={"resource": resource, "location": found},
    )


def _refuse(violations: Violations, reason: str, resource: str, description: str) -> None:
    violations.precondition(
        reason, resource, description, reason=reason, metadata={"resource": resource}
    )


def _not_found(resource_type: str, name: str) -> NotFound:
    return NotFound(
        f"{name} does not exist",
        reason=reasons.SOURCE_NOT_FOUND,
        metadata={"resource": name},
        resource=ResourceInfo(resource_type, name),
    )
