"""Making managed images: of blobs, VHDs, a disk, a snapshot or a machine."""

from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.disk_source import SourceKind
from services.catalog.domain.hardware import Architecture, HyperVGeneration, OsState
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.source_match import plan_key
from services.catalog.domain.system import System
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import managed_image_sources, source_encryption
from services.catalog.usecases.managed_image_sources import PATH, ImageSource
from services.catalog.usecases.source_contents import Contents, SourceReader
from services.catalog.usecases.source_create import Creation, NewSource, World
from services.catalog.usecases.source_disks import check_plan
from services.catalog.usecases.source_refusals import refuse
from services.catalog.usecases.source_types import MANAGED_IMAGE
from services.kernel.names import key
from services.kernel.violations import Violations

_SET: Final = f"{PATH}.disk_encryption_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateManagedImage:
    """An image to be made.

    `system` is what the request tells of the operating system, with defaults for what it leaves
    out; `generation` and `architecture` are None where it leaves them out.
    """

    new: NewSource
    source: ImageSource | None
    system: System
    generation: HyperVGeneration | None = None
    architecture: Architecture | None = None
    disk_encryption_set: str = ""


def create(
    command: CreateManagedImage,
    context: Context,
    mutation: Mutation[ManagedImage],
    *,
    world: World,
) -> bytes:
    """Create an image; while it has blobs to hold it is CREATING, see `source_holds`.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: LINKED_PERMISSION_DENIED (gallery-semantics 5.4).
        NotFound: PARENT_NOT_FOUND, SOURCE_NOT_FOUND or ENCRYPTION_SET_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
        Aborted: the group or the encryption set is being deleted.
        Unavailable: the replication service does not answer.
    """
    violations = context.violations
    source = command.source
    creation = Creation(
        MANAGED_IMAGE,
        command.new,
        context,
        world,
        path=PATH,
        linked_demands=[
            *managed_image_sources.check_shape(source, violations),
            *source_encryption.demands(command.disk_encryption_set, _SET, violations),
        ],
    )
    check_plan(command.system.purchase_plan, PATH, violations)
    _check_required(command, violations)
    looks = managed_image_sources.look(source, world.sources, world.look, violations)

    def work(tx: Tx) -> ManagedImage:
        found = violations.copy()
        group = creation.group(tx, found)
        location = creation.region.id if creation.region else ""
        reader = SourceReader(tx, location, looks, found)
        contents = managed_image_sources.gather(source, reader, found)
        missing = reader.missing()
        if missing is not None and not found.fields:
            raise missing
        system = _system(command, contents, found)
        if contents is not None and contents.system is not None:
            set_name = _taken_set(command, contents, group.name, found)
        else:
            set_name = source_encryption.find(
                tx,
                command.disk_encryption_set,
                group.name,
                region=creation.region,
                violations=found,
            )
        found.raise_if_any()
        if contents is None or system.os_type is None or system.os_state is None:
            raise AssertionError("what is missing is a violation")
        image = ManagedImage(
            **creation.common(group),
            os_type=system.os_type,
            os_state=system.os_state,
            disks=contents.disks,
            origin=contents.name,
            hyper_v_generation=system.hyper_v_generation,
            architecture=system.architecture,
            security_type=system.security_type,
            carries_vm_guest_state=system.carries_vm_guest_state,
            accelerated_networking=system.accelerated_networking,
            disk_controllers=system.disk_controllers,
            purchase_plan=system.purchase_plan,
            disk_encryption_set=set_name,
            held_blobs=tuple(
                one.source.uid for one in contents.disks if one.source.kind is SourceKind.BLOB
            ),
        )
        made = creation.add(tx, group, image)
        tx.uses.replace(made.name, _needed(made))
        return made

    return mutation.commit(work)


def _needed(image: ManagedImage) -> tuple[str, ...]:
    """Answer the keys of what an image needs: the accounts of its VHDs, and its encryption set."""
    needed = [one.origin for one in image.disks if one.origin]
    if image.disk_encryption_set:
        needed.append(image.disk_encryption_set)
    return tuple(dict.fromkeys(map(key, needed)))


def _check_required(command: CreateManagedImage, violations: Violations) -> None:
    """Note what has to be told of a system that nothing but bytes are there of."""
    if command.source is None or not command.source.kind.of_bytes:
        return
    if command.system.os_type is None:
        violations.add(f"{PATH}.os_type", "is required")
    if command.system.os_state is None:
        violations.add(f"{PATH}.os_state", "is required")


def _system(
    command: CreateManagedImage, contents: Contents | None, violations: Violations
) -> System:
    """Answer the system on an image: as its source has it, or as the request tells of bytes.

    Notes what the request tells otherwise than the source.
    """
    sent = command.system
    if contents is None or contents.system is None:
        return sent
    taken, name = contents.system, contents.name
    if taken.os_type is None:
        refuse(violations, reasons.SOURCE_OS_TYPE_MISMATCH, name, "holds no operating system")
    pairs = (
        (reasons.SOURCE_OS_TYPE_MISMATCH, sent.os_type, taken.os_type),
        (reasons.SOURCE_OS_STATE_MISMATCH, sent.os_state, taken.os_state),
        (
            reasons.SOURCE_GENERATION_MISMATCH,
            command.generation,
            taken.hyper_v_generation,
        ),
        (reasons.SOURCE_ARCHITECTURE_MISMATCH, command.architecture, taken.architecture),
    )
    for reason, told, known in pairs:
        if told is not None and known is not None and told is not known:
            problem = f"has {known.value}, and the request says {told.value}"
            refuse(violations, reason, name, problem)
    plan = sent.purchase_plan
    if plan is not None and plan_key(plan) != plan_key(taken.purchase_plan):
        problem = "has another purchase plan than the request says"
        refuse(violations, reasons.SOURCE_PLAN_MISMATCH, name, problem)
    return replace(taken, os_state=_os_state(taken.os_state or sent.os_state, name, violations))


def _os_state(found: OsState | None, name: str, violations: Violations) -> OsState | None:
    if found is None:
        problem = "does not know whether it is generalized: os_state is required"
        refuse(violations, reasons.SOURCE_OS_STATE_MISMATCH, name, problem)
    return found


def _taken_set(
    command: CreateManagedImage, contents: Contents, group: str, violations: Violations
) -> str:
    """Answer the encryption set that a source has, noting that an image cannot have it, or has it.

    A request may name the same one; another one would not be that of the bytes.
    """
    taken = next(iter(contents.encryption_sets), "")
    sent = command.disk_encryption_set
    if sent and key(sent) != key(taken):
        problem = f"{contents.name} is encrypted otherwise, and its key is taken over"
        violations.precondition("DISK_ENCRYPTION_SET", _SET, problem)
    if taken and key(names.subscription_of(taken)) != key(names.subscription_of(group)):
        refuse(
            violations,
            reasons.ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION,
            contents.name,
            "is encrypted with a key of another subscription",
        )
    return taken
