"""What callers do with managed images made of uploaded blobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    HostCaching,
    HyperVGeneration,
    MachineSecurityType,
    OsState,
    OsType,
    PurchasePlan,
)
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.region import Region
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.sources import Inspection, Sources
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks, source_holds
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.ids import new_uid
from services.kernel.names import Name
from services.kernel.violations import Violations

_WRITE_IMAGE: Final = "Microsoft.Compute/images/write"
WRITE_BLOB: Final = "Microsoft.Compute/disks/write"
_PATH: Final = "managed_image"
# What replication says of bytes, in the words of this contract.
_PROBLEMS: Final = {
    "BLOB_NOT_COMMITTED": reasons.SOURCE_NOT_READY,
    "SOURCE_FORMAT_INVALID": reasons.SOURCE_FORMAT_INVALID,
}


@dataclass(frozen=True, slots=True)
class BlobDisk:
    """A blob that becomes a disk; `field` is where the request names it."""

    disk: str
    blob: str
    field: str
    host_caching: HostCaching


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateManagedImage:
    """An image to be made in a resource group; None is what was not given."""

    parent: Name
    id: str
    location: str
    disks: Sequence[BlobDisk]
    os_type: OsType | None
    os_state: OsState | None
    hyper_v_generation: HyperVGeneration
    architecture: Architecture
    security_type: MachineSecurityType
    carries_vm_guest_state: bool
    accelerated_networking: bool | None
    disk_controllers: tuple[DiskControllerType, ...]
    purchase_plan: PurchasePlan | None
    tags: Mapping[str, str]


def create(
    command: CreateManagedImage,
    context: Context,
    mutation: Mutation[ManagedImage],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
    sources: Sources,
) -> bytes:
    """Create an image that is CREATING: `source_holds` makes it SUCCEEDED.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: a blob may not be used (gallery-semantics 5.4).
        NotFound: PARENT_NOT_FOUND or SOURCE_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
        Aborted: the group is being deleted.
        Unavailable: the replication service does not answer.
    """
    violations = context.violations
    blobs = _parsed(command.disks, violations)
    if blobs:
        # One decision for all of them, before anything is told about any.
        context.access.require_all(
            [
                (_WRITE_IMAGE, command.parent.text, "parent"),
                *((WRITE_BLOB, name.text, one.field) for one, name in blobs),
            ]
        )
    info = checks.subscription(subscriptions, command.parent.text, violations)
    region = checks.find_region(command.location, f"{_PATH}.location", regions, violations)
    _check_fields(command, violations)
    disks, missing = _inspected(blobs, region, sources, violations)
    now = context.clock.now()
    name = f"{command.parent.text}/managedImages/{command.id}"

    def work(tx: Tx) -> ManagedImage:
        found = violations.copy()
        group = tx.groups.get(command.parent.key, share=True)
        if info is None or group is None:
            raise checks.parent_missing(names.RESOURCE_GROUP_TYPE, command.parent.text, found)
        if missing:
            raise _source_missing(missing, found)
        found.raise_if_any()
        checks.not_going(tx, group)
        if region is None or command.os_type is None or command.os_state is None:
            raise AssertionError("what is missing is a violation")
        image = ManagedImage(
            name=name,
            uid=new_uid(),
            location=region.id,
            create_time=now,
            update_time=now,
            policy_revision=context.access.revision,
            os_type=command.os_type,
            os_state=command.os_state,
            disks=disks,
            hyper_v_generation=command.hyper_v_generation,
            architecture=command.architecture,
            security_type=command.security_type,
            carries_vm_guest_state=command.carries_vm_guest_state,
            accelerated_networking=command.accelerated_networking,
            disk_controllers=command.disk_controllers,
            purchase_plan=command.purchase_plan,
            held_blobs=tuple(one.source.uid for one in disks),
            tags=command.tags,
        )
        existing = tx.managed_images.get(image.key)
        if existing is not None:
            raise checks.taken(names.MANAGED_IMAGE_TYPE, image.location, existing)
        return source_holds.add(tx, image)

    return mutation.commit(work)


def _parsed(disks: Sequence[BlobDisk], violations: Violations) -> list[tuple[BlobDisk, Name]]:
    """Answer the disks whose blobs are named rightly, and note what is wrong or repeated."""
    found: list[tuple[BlobDisk, Name]] = []
    blobs: set[str] = set()
    luns: set[str] = set()
    for one in disks:
        if one.disk in luns:
            violations.add(
                one.field.rpartition(".")[0] + ".lun",
                f"the LUN {one.disk} is given twice",
                reason=reasons.LUN_REPEATED,
                metadata={"lun": one.disk},
            )
        luns.add(one.disk)
        if not one.blob:
            violations.add(one.field, "is required")
            continue
        if not names.BLOBS.matches(one.blob):
            violations.add(
                one.field, "must be the name of a blob", reason=reasons.SOURCE_KIND_INVALID
            )
            continue
        with violations.collect():
            name = names.BLOBS.parse(one.blob, field=one.field)
            if name.key in blobs:
                violations.add(
                    one.field,
                    f"{name.text} is a disk already",
                    reason=reasons.SOURCE_REPEATED,
                    metadata={"source": name.text},
                )
                continue
            blobs.add(name.key)
            found.append((one, name))
    return found


def _check_fields(command: CreateManagedImage, violations: Violations) -> None:
    if not command.disks:
        violations.add(
            f"{_PATH}.source", "a source is required", reason=reasons.SOURCE_KIND_INVALID
        )
    if command.os_type is None:
        violations.add(f"{_PATH}.os_type", "is required")
    if command.os_state is None:
        violations.add(f"{_PATH}.os_state", "is required")
    if command.purchase_plan is not None:
        for part in ("name", "publisher", "product"):
            if not getattr(command.purchase_plan, part):
                violations.add(f"{_PATH}.purchase_plan.{part}", "is required")


def _inspected(
    blobs: Sequence[tuple[BlobDisk, Name]],
    region: Region | None,
    sources: Sources,
    violations: Violations,
) -> tuple[tuple[SourceDisk, ...], list[str]]:
    """Answer the disks, the OS disk first, and the blobs that do not exist."""
    disks: list[SourceDisk] = []
    missing: list[str] = []
    for one, name in blobs:
        source = ByteSource(SourceKind.BLOB, name.text)
        seen = sources.inspect(source)
        if seen is None:
            missing.append(name.text)
            continue
        _check_bytes(seen, name.text, region, violations)
        disks.append(
            SourceDisk(
                one.disk,
                replace(source, uid=seen.uid),
                seen.size_bytes,
                seen.format,
                seen.root_digest,
                one.host_caching,
            )
        )
    return tuple(sorted(disks, key=lambda disk: names.disk_order(disk.disk))), missing


def _check_bytes(
    seen: Inspection, blob: str, region: Region | None, violations: Violations
) -> None:
    if seen.problem:
        reason = _PROBLEMS.get(seen.problem, reasons.SOURCE_NOT_READY)
        violations.precondition(
            reason,
            blob,
            f"no disk can be made of {blob} as it is",
            reason=reason,
            metadata={"resource": blob, "format": seen.format.value},
        )
    if region is not None and seen.location != region.id:
        violations.precondition(
            reasons.SOURCE_LOCATION_MISMATCH,
            blob,
            f"{blob} is in {seen.location}, the image would be in {region.id}",
            reason=reasons.SOURCE_LOCATION_MISMATCH,
            metadata={"resource": blob, "location": seen.location},
        )


def _source_missing(missing: Sequence[str], violations: Violations) -> NotFound:
    violations.raise_if_any()
    return NotFound(
        f"{', '.join(missing)} does not exist",
        reason=reasons.SOURCE_NOT_FOUND,
        metadata={"resource": ",".join(missing)},
        resource=ResourceInfo(names.BLOB_TYPE, missing[0]),
    )
