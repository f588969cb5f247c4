"""What a managed image is made from: what a request names, the rights to it, and what it holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, assert_never

from services.catalog.domain import names, reasons
from services.catalog.domain.disk_source import SourceDisk, naming_key
from services.catalog.domain.hardware import HostCaching
from services.catalog.ports.sources import Sources
from services.catalog.ports.transaction import Transact
from services.catalog.usecases import source_looks, source_types
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.source_contents import Contents, SourceReader, in_order
from services.catalog.usecases.source_disks import WRITE_BLOB
from services.catalog.usecases.source_looks import Looks
from services.kernel.names import Pattern
from services.kernel.violations import Violations

PATH: Final = "managed_image"
_LIST_KEYS: Final = f"{source_types.STORAGE_ACCOUNT.actions}/listKeys/action"
_VHD_RIGHTS: Final = (source_types.STORAGE_ACCOUNT.write, _LIST_KEYS)


class ImageSourceKind(Enum):
    """What an image is made from: the fields of the request."""

    BLOBS = "blobs"
    VHDS = "vhds"
    DISK = "disk"
    SNAPSHOT = "snapshot"
    VIRTUAL_MACHINE = "virtual_machine"

    @property
    def of_bytes(self) -> bool:
        """Whether nothing but bytes is known of it: the request tells of the system."""
        return self in {ImageSourceKind.BLOBS, ImageSourceKind.VHDS}


@dataclass(frozen=True, slots=True)
class ImageDisk:
    """Bytes that become a disk; `field` is where the request names them.

    `name` is that of a blob, or of the storage account of the VHD `file`.
    """

    disk: str
    field: str
    name: str
    file: str = ""
    host_caching: HostCaching = HostCaching.NONE


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The source of an image: a resource with a `name`, or `disks` that are bytes."""

    kind: ImageSourceKind
    name: str = ""
    disks: tuple[ImageDisk, ...] = ()


_RESOURCES: Final[dict[ImageSourceKind, tuple[Pattern, str]]] = {
    ImageSourceKind.DISK: (names.DISKS, source_types.DISK.write),
    ImageSourceKind.SNAPSHOT: (names.SNAPSHOTS, source_types.SNAPSHOT.write),
    ImageSourceKind.VIRTUAL_MACHINE: (
        names.VIRTUAL_MACHINES,
        source_types.VIRTUAL_MACHINE.write,
    ),
}


def check_shape(source: ImageSource | None, violations: Violations) -> list[Demand]:
    """Note what is wrong with a source by itself; answer the rights that it needs."""
    if source is None:
        violations.add(PATH, "a source is required", reason=reasons.SOURCE_KIND_INVALID)
        return []
    if source.kind.of_bytes:
        return _check_bytes(source, violations)
    pattern, action = _RESOURCES[source.kind]
    field = f"{PATH}.{source.kind.value}"
    if _is_name(pattern, source.name, field, violations):
        return [Demand(action, source.name, field)]
    return []


def look(
    source: ImageSource | None, sources: Sources, read: Transact, violations: Violations
) -> Looks:
    """Look at the bytes of an image, where the request names them rightly.

    Raises:
        Unavailable: the replication service does not answer.
    """
    disks = () if source is None else _well_named(source, violations)
    files = source is not None and source.kind is ImageSourceKind.VHDS
    return source_looks.look(
        sources,
        read,
        blobs=[] if files else [one.name for one in disks],
        vhds=[(one.name, one.file) for one in disks] if files else [],
    )


def gather(
    source: ImageSource | None, reader: SourceReader, violations: Violations
) -> Contents | None:
    """Answer what a source holds, None where it is not there; of bytes it has no name."""
    if source is None or (
        not source.kind.of_bytes and violations.has_field(f"{PATH}.{source.kind.value}")
    ):
        return None
    match source.kind:
        case ImageSourceKind.DISK:
            return _taken(reader.disk(source.name))
        case ImageSourceKind.SNAPSHOT:
            return _taken(reader.snapshot(source.name))
        case ImageSourceKind.VIRTUAL_MACHINE:
            return _taken(reader.machine(source.name))
        case ImageSourceKind.BLOBS | ImageSourceKind.VHDS:
            return _gathered(_well_named(source, violations), reader)
        case _:
            assert_never(source.kind)


def _taken(found: Contents | None) -> Contents | None:
    """Answer what a resource holds as it is without the resource, which may go afterwards."""
    if found is None:
        return None
    return replace(found, disks=tuple(replace(one, origin="") for one in found.disks))


def _gathered(disks: Sequence[ImageDisk], reader: SourceReader) -> Contents:
    """Answer the disks that are bytes, each with what it has to be kept for."""
    found: list[SourceDisk] = []
    for one in disks:
        bytes_ = reader.vhd(one.name, one.file) if one.file else reader.blob(one.name)
        if bytes_ is not None:
            found += [
                replace(disk, disk=one.disk, host_caching=one.host_caching) for disk in bytes_.disks
            ]
    return Contents(name="", disks=in_order(found))


def _check_bytes(source: ImageSource, violations: Violations) -> list[Demand]:
    demands: list[Demand] = []
    seen: set[str] = set()
    luns: set[str] = set()
    for one in source.disks:
        entry = one.field.rpartition(".")[0]
        if one.disk in luns:
            violations.add(
                f"{entry}.lun",
                f"the LUN {one.disk} is given twice",
                reason=reasons.LUN_REPEATED,
                metadata={"lun": one.disk},
            )
        luns.add(one.disk)
        is_vhd = source.kind is ImageSourceKind.VHDS
        pattern = names.STORAGE_ACCOUNTS if is_vhd else names.BLOBS
        field = f"{one.field}.storage_account" if is_vhd else one.field
        if not _is_name(pattern, one.name, field, violations):
            continue
        rights = _VHD_RIGHTS if is_vhd else (WRITE_BLOB,)
        demands += [Demand(action, one.name, field) for action in rights]
        identity = naming_key(one.name, one.file)
        if identity in seen:
            shown = f"{one.name}/{one.file}" if one.file else one.name
            violations.add(
                one.field,
                f"{shown} is a disk already",
                reason=reasons.SOURCE_REPEATED,
                metadata={"source": shown},
            )
        seen.add(identity)
    return demands


def _is_name(pattern: Pattern, text: str, field: str, violations: Violations) -> bool:
    """Whether a text names one resource of a kind; note why it does not."""
    if not text:
        violations.add(field, "is required")
    elif not pattern.matches(text):
        violations.add(field, f"'{text}' is of another kind", reason=reasons.SOURCE_KIND_INVALID)
    else:
        with violations.collect():
            if not pattern.parse(text, field=field).has_wildcard:
                return True
            violations.add(field, "must name one source, '-' means all")
    return False


def _well_named(source: ImageSource, violations: Violations) -> tuple[ImageDisk, ...]:
    return tuple(one for one in source.disks if not violations.has_field(one.field))
