"""The sources that a request names for a version: their shape, and the rights that they need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.disk_source import naming_key
from services.catalog.domain.hardware import HostCaching
from services.catalog.domain.version import WholeSource, WholeSourceKind
from services.catalog.usecases.linked import Demand
from services.kernel.names import Name, Pattern, parse_version
from services.kernel.violations import Violations

_PROFILE: Final = "image_version.storage_profile"
_COMPUTE: Final = "Microsoft.Compute"
_STORAGE: Final = "Microsoft.Storage/storageAccounts"
DISK: Final = "disk"
SNAPSHOT: Final = "snapshot"
BLOB: Final = "blob"
VHD: Final = "vhd"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk of a request: `path` is that of its entry, `kind` the field of its source.

    `kind` and `name` are empty where it has no source of its own. `name` is the account of a
    VHD, `file` its path there.
    """

    disk: str
    path: str
    kind: str = ""
    name: str = ""
    file: str = ""
    host_caching: HostCaching | None = None

    @property
    def field(self) -> str:
        """Where the request names the source."""
        return f"{self.path}.source.{self.kind}"

    @property
    def naming_key(self) -> str:
        """What is compared to tell whether two disks have one source."""
        return naming_key(self.name, self.file)


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """The sources that a request names, and whether the terms of a publisher are accepted."""

    whole: WholeSource | None
    disks: tuple[DiskSpec, ...]
    accept_terms: bool = False


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
_DISKS: Final[dict[str, tuple[Pattern, tuple[str, ...]]]] = {
    DISK: (names.DISKS, (f"{_COMPUTE}/disks/write",)),
    SNAPSHOT: (names.SNAPSHOTS, (f"{_COMPUTE}/snapshots/write",)),
    BLOB: (names.BLOBS, (f"{_COMPUTE}/disks/write",)),
    VHD: (names.STORAGE_ACCOUNTS, (f"{_STORAGE}/write", f"{_STORAGE}/listKeys/action")),
}


def action_on(kind: WholeSourceKind) -> str:
    """Answer the right that a source of all disks needs."""
    return _WHOLE[kind][1]


def well_named(request: SourceRequest, violations: Violations) -> SourceRequest:
    """Answer the sources whose names are right, which alone can be looked at."""
    whole = request.whole
    if whole is not None and violations.has_field(_field(whole)):
        whole = None
    disks = tuple(one for one in request.disks if not violations.has_field(one.field))
    return SourceRequest(whole, disks, request.accept_terms)


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
    field = _field(whole)
    name = _named(pattern, whole.name, field, violations)
    if name is None:
        return []
    if "version" in name.ids:
        with violations.collect():
            parse_version(name.ids["version"], field=field)
    return [Demand(action, whole.name, field)]


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
        pattern, actions = _DISKS[one.kind]
        field = f"{one.field}.storage_account" if one.kind == VHD else one.field
        if _named(pattern, one.name, field, violations) is not None:
            demands += [Demand(action, one.name, field) for action in actions]
        if one.naming_key in seen:
            shown = f"{one.name}/{one.file}" if one.file else one.name
            violations.add(
                one.field,
                f"{shown} is the source of another disk too",
                reason=reasons.SOURCE_REPEATED,
                metadata={"source": shown},
            )
        seen.add(one.naming_key)
    return demands


def _field(whole: WholeSource) -> str:
    return f"{_PROFILE}.source.{whole.kind.value}"


def _named(pattern: Pattern, text: str, field: str, violations: Violations) -> Name | None:
    """Answer a name that names one resource, and note what is wrong with any other."""
    with violations.collect():
        name = pattern.parse(text, field=field)
        if not name.has_wildcard:
            return name
        violations.add(field, "must name one source, '-' means all")
    return None
