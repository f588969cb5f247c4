"""What callers do with virtual machines: what runs them registers them here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.disks import Disk
from services.catalog.domain.storage_account import Vhd
from services.catalog.domain.system import System
from services.catalog.domain.virtual_machine import MachineDisk, PowerState, VirtualMachine
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import source_refusals
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.source_contents import SourceReader
from services.catalog.usecases.source_create import Creation, NewSource, World
from services.catalog.usecases.source_disks import check_plan
from services.catalog.usecases.source_looks import look
from services.catalog.usecases.source_types import DISK, STORAGE_ACCOUNT, VIRTUAL_MACHINE
from services.kernel.names import Pattern, key
from services.kernel.violations import Violations

_PATH: Final = "virtual_machine"
_LIST_KEYS: Final = f"{STORAGE_ACCOUNT.actions}/listKeys/action"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMachine:
    """A machine to be made; the disks in the order of the request, the OS disk first."""

    new: NewSource
    size: str
    system: System
    disks: tuple[MachineDisk, ...]
    power_state: PowerState | None
    hibernation: bool


def create(
    command: CreateMachine,
    context: Context,
    mutation: Mutation[VirtualMachine],
    *,
    world: World,
) -> bytes:
    """Create a machine.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: LINKED_PERMISSION_DENIED.
        NotFound: PARENT_NOT_FOUND or SOURCE_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
        Aborted: the group is being deleted.
        Unavailable: the replication service is needed and does not answer.
    """
    violations = context.violations
    demands = _check_disks(command.disks, violations)
    creation = Creation(
        VIRTUAL_MACHINE, command.new, context, world, path=_PATH, linked_demands=demands
    )
    _check_fields(command, violations)
    location = creation.region.id if creation.region else ""
    vhds = [] if violations else [one.vhd for one in command.disks if one.vhd]
    looks = look(
        world.sources,
        world.look,
        vhds=[(one.storage_account, one.path) for one in vhds],
    )

    def work(tx: Tx) -> VirtualMachine:
        found = violations.copy()
        group = creation.group(tx, found)
        # A request that is wrong by itself may name nothing that can be looked for.
        found.raise_if_any()
        reader = SourceReader(tx, location, looks, found)
        disks = [
            _found(tx, one, command.system, reader, location=location, found=found)
            for one in command.disks
        ]
        found.raise_if_any()
        if missing := reader.missing():
            raise missing
        machine = VirtualMachine(
            **creation.common(group),
            size=command.size,
            system=command.system,
            disks=tuple(sorted(disks, key=lambda one: names.disk_order(one.disk))),
            power_state=command.power_state,
            hibernation=command.hibernation,
        )
        made = creation.add(tx, group, machine)
        for used in dict.fromkeys(key(_backing(one)) for one in disks if _backing(one)):
            tx.uses.add(used, made.name)
        return made

    return mutation.commit(work)


def _check_disks(disks: Sequence[MachineDisk], violations: Violations) -> list[Demand]:
    """Note what is wrong with the disks by themselves; answer the rights that they need."""
    demands: list[Demand] = []
    luns: set[str] = set()
    seen: set[str] = set()
    for index, one in enumerate(disks):
        path = f"{_PATH}.data_disks[{index - 1}]" if index else f"{_PATH}.os_disk"
        if one.disk in luns:
            violations.add(
                f"{path}.lun",
                f"the LUN {one.disk} is given twice",
                reason=reasons.LUN_REPEATED,
                metadata={"lun": one.disk},
            )
        luns.add(one.disk)
        if one.vhd is not None:
            field, source = f"{path}.vhd", f"{one.vhd.storage_account}/{one.vhd.path}"
            demands += _vhd_demands(one.vhd, f"{field}.storage_account", violations)
        elif one.managed:
            field, source = f"{path}.disk", one.managed
            if _is_named(one.managed, names.DISKS, field, violations):
                demands.append(Demand(DISK.write, one.managed, field))
        else:
            if not one.ephemeral:
                violations.add(
                    path,
                    "a disk lies on a managed disk or in a VHD",
                    reason=reasons.SOURCE_KIND_INVALID,
                )
            continue
        # The path of a file tells upper from lower case, a name does not.
        identity = key(source) if one.vhd is None else _identity(one.vhd)
        if identity in seen:
            violations.add(
                field,
                f"{source} is a disk already",
                reason=reasons.SOURCE_REPEATED,
                metadata={"source": source},
            )
        seen.add(identity)
    return demands


def _vhd_demands(vhd: Vhd, field: str, violations: Violations) -> list[Demand]:
    if not vhd.storage_account:
        violations.add(field, "is required")
    elif _is_named(vhd.storage_account, names.STORAGE_ACCOUNTS, field, violations):
        actions = (STORAGE_ACCOUNT.write, _LIST_KEYS)
        return [Demand(action, vhd.storage_account, field) for action in actions]
    return []


def _is_named(name: str, pattern: Pattern, field: str, violations: Violations) -> bool:
    if not pattern.matches(name):
        violations.add(
            field, f"must be a name like {pattern.patterns[0]}", reason=reasons.SOURCE_KIND_INVALID
        )
        return False
    with violations.collect():
        pattern.parse(name, field=field)
        return True
    return False


def _check_fields(command: CreateMachine, violations: Violations) -> None:
    if not command.size:
        violations.add(f"{_PATH}.size", "is required")
    if command.system.os_type is None:
        violations.add(f"{_PATH}.os_type", "is required")
    if command.system.os_state is None:
        violations.add(f"{_PATH}.os_state", "is required")
    check_plan(command.system.purchase_plan, _PATH, violations)


def _found(
    tx: Tx,
    disk: MachineDisk,
    system: System,
    reader: SourceReader,
    *,
    location: str,
    found: Violations,
) -> MachineDisk:
    """Answer a disk as what it lies on is called, and note why it cannot be that of a machine."""
    if disk.vhd is not None:
        contents = reader.vhd(disk.vhd.storage_account, disk.vhd.path)
        if contents is None:
            return disk
        (file,) = contents.disks
        vhd = Vhd(file.origin, disk.vhd.path, file.source.etag, file.size_bytes)
        return replace(disk, vhd=vhd)
    if not disk.managed:
        return disk
    row = tx.disks.get(key(disk.managed), share=True)
    if row is None:
        reader.absent(names.DISK_TYPE, disk.managed)
        return disk
    source_refusals.check_ready(row, found)
    source_refusals.check_place(row.name, row.location, location, found)
    if disk.disk == names.OS_DISK:
        _check_os_disk(row, system, found)
    return replace(disk, managed=row.name)


def _check_os_disk(disk: Disk, system: System, violations: Violations) -> None:
    found = disk.system.os_type
    if found is not system.os_type:
        source_refusals.refuse(
            violations,
            reasons.SOURCE_OS_TYPE_MISMATCH,
            disk.name,
            f"holds {found.value if found else 'no operating system'}, and is to be the OS disk",
        )


def _backing(disk: MachineDisk) -> str:
    """Answer the name of what must stay for a disk, empty for none."""
    return disk.vhd.storage_account if disk.vhd is not None else disk.managed


def _identity(vhd: Vhd) -> str:
    return f"{key(vhd.storage_account)}:{vhd.path}"
