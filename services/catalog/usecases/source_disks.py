"""What callers do with managed disks and snapshots: both are a committed blob."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from services.catalog.domain import names
from services.catalog.domain.disks import Disk, DiskLike, Snapshot
from services.catalog.domain.hardware import DiskType, PurchasePlan
from services.catalog.domain.system import System
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import source_encryption, source_types
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.source_contents import SourceReader
from services.catalog.usecases.source_create import Creation, NewSource, World
from services.catalog.usecases.source_looks import look
from services.catalog.usecases.source_types import SourceType
from services.kernel.names import key
from services.kernel.violations import Violations

D = TypeVar("D", bound=DiskLike)

WRITE_BLOB: Final = "Microsoft.Compute/disks/write"


@dataclass(frozen=True, slots=True)
class DiskKind(Generic[D]):
    """Disks or snapshots: `path` is their field of the request."""

    type: SourceType
    path: str
    make: Callable[..., D]


DISK: Final[DiskKind[Disk]] = DiskKind(source_types.DISK, "disk", Disk)
SNAPSHOT: Final[DiskKind[Snapshot]] = DiskKind(source_types.SNAPSHOT, "snapshot", Snapshot)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDisk:
    """A disk or snapshot to be made; only a disk has a `disk_type`."""

    new: NewSource
    blob: str
    system: System
    disk_encryption_set: str = ""
    disk_type: DiskType | None = None


def create(
    kind: DiskKind[D],
    command: CreateDisk,
    context: Context,
    mutation: Mutation[D],
    *,
    world: World,
) -> bytes:
    """Create a disk or snapshot that is CREATING: `source_holds` makes it SUCCEEDED.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: LINKED_PERMISSION_DENIED.
        NotFound: PARENT_NOT_FOUND, SOURCE_NOT_FOUND or ENCRYPTION_SET_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
        Aborted: the group or the encryption set is being deleted.
        Unavailable: the replication service does not answer.
    """
    violations = context.violations
    path = kind.path
    set_field = f"{path}.disk_encryption_set"
    creation = Creation(
        kind.type,
        command.new,
        context,
        world,
        path=path,
        linked_demands=[
            *_blob_demands(command.blob, f"{path}.blob", violations),
            *source_encryption.demands(command.disk_encryption_set, set_field, violations),
        ],
    )
    check_plan(command.system.purchase_plan, path, violations)
    location = creation.region.id if creation.region else ""
    is_named = not violations.has_field(f"{path}.blob")
    looks = look(world.sources, world.look, blobs=[command.blob] if is_named else [])

    def work(tx: Tx) -> D:
        found = violations.copy()
        group = creation.group(tx, found)
        reader = SourceReader(tx, location, looks, found)
        contents = reader.blob(command.blob)
        set_name = source_encryption.find(
            tx, command.disk_encryption_set, group.name, region=creation.region, violations=found
        )
        found.raise_if_any()
        missing = reader.missing()
        if contents is None or missing is not None:
            raise missing or AssertionError("what is not there is missing")
        fields: dict[str, Any] = creation.common(group)
        if command.disk_type is not None:
            fields["disk_type"] = command.disk_type
        disk = kind.make(
            **fields, image=contents.disks[0], system=command.system, disk_encryption_set=set_name
        )
        made = creation.add(tx, group, disk)
        if set_name:
            tx.uses.add(key(set_name), made.name)
        return made

    return mutation.commit(work)


def check_plan(plan: PurchasePlan | None, path: str, violations: Violations) -> None:
    """Note what a purchase plan lacks."""
    if plan is None:
        return
    for part in ("name", "publisher", "product"):
        if not getattr(plan, part):
            violations.add(f"{path}.purchase_plan.{part}", "is required")


def _blob_demands(blob: str, field: str, violations: Violations) -> list[Demand]:
    if not blob:
        violations.add(field, "is required")
        return []
    with violations.collect():
        names.BLOBS.parse(blob, field=field)
        return [Demand(WRITE_BLOB, blob, field)]
    return []
