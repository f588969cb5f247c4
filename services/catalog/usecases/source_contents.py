"""What sources hold, read in a transaction: their disks, and what is known of the system.

Whatever is made of a source, an image version or a managed image, reads it here, so that all
refusals that a source earns by itself are the same (gallery-semantics 3.12).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.definition import Definition
from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.disks import Disk, DiskLike
from services.catalog.domain.hardware import DiskFormat, DiskType
from services.catalog.domain.source_match import system_of
from services.catalog.domain.system import System
from services.catalog.domain.version import Version
from services.catalog.domain.virtual_machine import MachineDisk, VirtualMachine
from services.catalog.ports.sources import Inspection
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import source_refusals
from services.catalog.usecases.source_looks import Looks, blob_of, file_of
from services.catalog.usecases.source_refusals import refuse
from services.kernel.errors import NotFound
from services.kernel.names import key
from services.kernel.violations import Violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a source gives: its disks, the OS disk first.

    `name` and `uid` are those of the source; `used_key` that of what has to live on for it,
    empty for a blob, which is held instead. `system` is None where nothing is known of it.
    `encryption_sets` are the keys of a customer that the bytes are encrypted with.
    """

    name: str
    disks: tuple[SourceDisk, ...]
    uid: str = ""
    used_key: str = ""
    system: System | None = None
    encryption_sets: tuple[str, ...] = ()


class SourceReader:
    """Reads sources, and notes what is wrong with them.

    `location` is the region that they must be in, empty where it is not known; `looks` is what
    was found of bytes before the transaction.
    """

    def __init__(self, tx: Tx, location: str, looks: Looks, violations: Violations) -> None:
        self._tx: Final = tx
        self._location: Final = location
        self._looks: Final = looks
        self._violations: Final = violations
        self._absent: Final[list[tuple[str, str]]] = []

    def absent(self, resource_type: str, name: str) -> Contents | None:
        """Note a source that does not exist; answer that there is nothing to read."""
        self._absent.append((resource_type, name))
        return None

    def missing(self) -> NotFound | None:
        """Build the error for all sources that do not exist, for a request that is right itself.

        It is SOURCE_NOT_FOUND, None where all were there.
        """
        return source_refusals.missing(self._absent) if self._absent else None

    def blob(self, name: str) -> Contents | None:
        """Read an uploaded blob."""
        found = self._looks.of(blob_of(name))
        if found is None:
            return self.absent(names.BLOB_TYPE, name)
        source_refusals.check_bytes(name, found, self._violations)
        self._check_place(name, found.location)
        source = replace(blob_of(name), uid=found.uid)
        return Contents(name=name, uid=found.uid, disks=(_disk(source, found),))

    def vhd(self, account_name: str, path: str) -> Contents | None:
        """Read a VHD of fixed size in a storage account; it is pinned by its entity tag."""
        account = self._tx.storage_accounts.get(key(account_name), share=True)
        if account is None:
            return self.absent(names.STORAGE_ACCOUNT_TYPE, account_name)
        file = file_of(account.store, path)
        name = f"{account.name}/{path}"
        found = self._looks.of(file)
        if found is None:
            return self.absent(names.STORAGE_ACCOUNT_TYPE, name)
        source_refusals.check_ready(account, self._violations)
        self._check_place(name, account.location)
        if found.problem or found.format is DiskFormat.VHD_FIXED:
            source_refusals.check_bytes(name, found, self._violations)
        else:
            refuse(
                self._violations,
                reasons.SOURCE_FORMAT_INVALID,
                name,
                f"is no VHD of fixed size but {found.format.value}",
                format=found.format.value,
            )
        disk = _disk(replace(file, etag=found.etag), found)
        return Contents(
            name=name, used_key=account.key, disks=(replace(disk, origin=account.name),)
        )

    def disk(self, name: str) -> Contents | None:
        """Read a managed disk."""
        found = self._tx.disks.get(key(name), share=True)
        return self.absent(names.DISK_TYPE, name) if found is None else self._disk_like(found)

    def snapshot(self, name: str) -> Contents | None:
        """Read a snapshot."""
        found = self._tx.snapshots.get(key(name), share=True)
        return self.absent(names.SNAPSHOT_TYPE, name) if found is None else self._disk_like(found)

    def machine(self, name: str) -> Contents | None:
        """Read a machine: its OS disk and all of its data disks."""
        found = self._tx.virtual_machines.get(key(name), share=True)
        if found is None:
            return self.absent(names.VIRTUAL_MACHINE_TYPE, name)
        source_refusals.check_ready(found, self._violations)
        self._check_place(found.name, found.location)
        pairs = [(one, self._managed(found, one)) for one in found.disks]
        return Contents(
            name=found.name,
            uid=found.uid,
            used_key=found.key,
            system=found.system,
            disks=tuple(
                replace(row.image, disk=one.disk, host_caching=one.host_caching)
                for one, row in pairs
                if row is not None
            ),
            encryption_sets=tuple(
                row.disk_encryption_set for _, row in pairs if row and row.disk_encryption_set
            ),
        )

    def image(self, name: str) -> Contents | None:
        """Read a managed image; its VHDs must be what they were when it was made."""
        found = self._tx.managed_images.get(key(name), share=True)
        if found is None:
            return self.absent(names.MANAGED_IMAGE_TYPE, name)
        source_refusals.check_ready(found, self._violations)
        self._check_place(found.name, found.location)
        for disk in found.disks:
            if disk.source.kind is SourceKind.STORE_FILE:
                self._check_unchanged(found.name, disk.source)
        return Contents(
            name=found.name,
            uid=found.uid,
            used_key=found.key,
            system=found.system,
            disks=tuple(replace(one, origin="") for one in found.disks),
            encryption_sets=(found.disk_encryption_set,) if found.disk_encryption_set else (),
        )

    def version(self, found: Version, definition: Definition, shown: str) -> Contents:
        """Read a version of a definition; `shown` is its name as the caller knows it."""
        refuse_it = _refusal(self._violations, shown)
        if self._location and (
            found.deleting or not self._tx.versions.is_usable(found.uid, self._location)
        ):
            refuse_it(reasons.SOURCE_NOT_READY, f"cannot be used in {self._location}")
        if found.encrypted:
            refuse_it(reasons.SOURCE_CUSTOMER_KEY, "is encrypted with keys of a customer")
        return Contents(
            name=shown,
            uid=found.uid,
            used_key=found.key,
            system=system_of(definition, found.number, guest_state=found.carries_vm_guest_state),
            disks=tuple(
                replace(
                    one,
                    # Replication knows it by the uid, and tells of it by the name.
                    source=ByteSource(SourceKind.IMAGE_VERSION, shown, found.uid, disk=one.disk),
                    format=DiskFormat.RAW,
                    origin="",
                )
                for one in found.disks
            ),
        )

    def _disk_like(self, found: DiskLike) -> Contents:
        source_refusals.check_ready(found, self._violations)
        self._check_place(found.name, found.location)
        if _is_ultra(found):
            refuse(self._violations, reasons.SOURCE_ULTRA_DISK, found.name, "is an Ultra disk")
        return Contents(
            name=found.name,
            uid=found.uid,
            used_key=found.key,
            system=found.system,
            disks=(replace(found.image, origin=found.name),),
            encryption_sets=(found.disk_encryption_set,) if found.disk_encryption_set else (),
        )

    def _managed(self, machine: VirtualMachine, disk: MachineDisk) -> Disk | None:
        """Answer the managed disk of a machine; what is wrong with it is told of the machine."""
        refuse_it = _refusal(self._violations, machine.name)
        if disk.ephemeral:
            refuse_it(reasons.SOURCE_EPHEMERAL_OS_DISK, "has an ephemeral OS disk")
            return None
        if disk.vhd is not None:
            refuse_it(reasons.SOURCE_UNMANAGED_MACHINE, f"keeps its disk {disk.disk} in a VHD")
            return None
        found = self._tx.disks.get(key(disk.managed), share=True)
        if found is None:
            self.absent(names.DISK_TYPE, disk.managed)
        elif _is_ultra(found):
            refuse_it(reasons.SOURCE_ULTRA_DISK, f"has an Ultra disk as its disk {disk.disk}")
        return found

    def _check_unchanged(self, image: str, file: ByteSource) -> None:
        seen: Inspection | None = self._looks.of(file_of(file.name, file.path))
        if seen is None or seen.etag != file.etag:
            problem = f"refers to the VHD {file.path}, which is not what it was"
            refuse(self._violations, reasons.SOURCE_CHANGED, image, problem)

    def _check_place(self, resource: str, found: str) -> None:
        source_refusals.check_place(resource, found, self._location, self._violations)


def in_order(disks: Sequence[SourceDisk]) -> tuple[SourceDisk, ...]:
    """Answer the OS disk, then the data disks by their LUNs."""
    return tuple(sorted(disks, key=lambda one: names.disk_order(one.disk)))


def _disk(source: ByteSource, found: Inspection) -> SourceDisk:
    return SourceDisk(
        names.OS_DISK, source, found.size_bytes, found.format, root_digest=found.root_digest
    )


def _is_ultra(disk: DiskLike) -> bool:
    return isinstance(disk, Disk) and disk.disk_type is DiskType.ULTRA_SSD_LRS


def _refusal(violations: Violations, resource: str) -> Callable[[str, str], None]:
    return lambda reason, problem: refuse(violations, reason, resource, problem)
