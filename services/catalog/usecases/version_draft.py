"""What a request to create a version says, drawn up before anything stored is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.catalog.domain import encryption_rules
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.resource import ProvisioningState
from services.catalog.domain.targets import (
    Placement,
    check_capacity,
    check_home,
    check_replica_sets,
    check_shallow,
    note_unknown,
    place,
)
from services.catalog.domain.uefi import UefiSettings
from services.catalog.domain.version import (
    Number,
    ReplicationMode,
    SafetyProfile,
    TargetRegion,
    Version,
    WaitMode,
    WholeSource,
)
from services.catalog.ports.calls import Context, Regions
from services.catalog.usecases.version_sources import DiskSpec
from services.kernel.ids import new_uid
from services.kernel.names import Name, parse_version
from services.kernel.violations import Violations

REGIONS: Final = "image_version.target_regions"
UEFI: Final = "image_version.uefi_settings"


@dataclass(frozen=True, slots=True)
class CreateVersion:
    """A version to be made of a definition; `target_regions` are spelled as they were sent."""

    parent: Name
    id: str
    location: str
    source: WholeSource | None
    disks: tuple[DiskSpec, ...]
    target_regions: tuple[TargetRegion, ...]
    uefi: UefiSettings | None
    replica_count: int | None
    exclude_from_latest: bool
    storage_type: StorageType
    mode: ReplicationMode
    end_of_life_time: datetime | None
    safety: SafetyProfile | None
    tags: Mapping[str, str]
    wait_for: WaitMode
    accept_terms: bool = False
    validate_only: bool = False


def draw_up(
    command: CreateVersion, context: Context, regions: Regions, *, tenant: str
) -> tuple[Version, list[Placement]]:
    """Answer the version that is asked for and the places of its replicas.

    What is wrong with its number and its regions is noted in the violations of the call.
    """
    violations = context.violations
    draft = _draft(command, context, _number(command, violations), tenant=tenant)
    return _place(draft, command, regions, violations)


def _number(command: CreateVersion, violations: Violations) -> Number:
    if not violations.has_field("image_version_id"):
        with violations.collect():
            return parse_version(command.id, field="image_version_id")
    return (0, 0, 0)


def _draft(command: CreateVersion, context: Context, number: Number, *, tenant: str) -> Version:
    now = context.clock.now()
    return Version(
        name=f"{command.parent.text}/versions/{command.id}",
        uid=new_uid(),
        location="",
        create_time=now,
        update_time=now,
        policy_revision=context.access.revision,
        state=ProvisioningState.CREATING,
        tags=command.tags,
        number=number,
        tenant=tenant,
        source=command.source,
        disks=(),
        target_regions=(),
        publish_time=now,
        replica_count=command.replica_count if command.replica_count is not None else 1,
        exclude_from_latest=command.exclude_from_latest,
        storage_type=command.storage_type,
        mode=command.mode,
        end_of_life_time=command.end_of_life_time,
        safety=command.safety,
        uefi_digest=command.uefi.digest if command.uefi else "",
    )


def _place(
    draft: Version, command: CreateVersion, regions: Regions, violations: Violations
) -> tuple[Version, list[Placement]]:
    """Answer the draft with its regions, noting everything that is wrong with them."""
    spellings = [one.location for one in command.target_regions if one.location]
    found = regions.find([*spellings, command.location] if command.location else spellings)
    home = found.get(command.location)
    field = "image_version.location"
    if not command.location:
        violations.add(field, "a region is required")
    elif home is None:
        note_unknown(violations, field, command.location, known=regions.known())
    targets = command.target_regions
    if not targets and home is not None:
        targets = (TargetRegion(command.location),)
    placed = place(targets, found, REGIONS, violations, known=regions.known())
    draft = replace(
        draft,
        location=home.id if home else "",
        target_regions=tuple(one.target for one in placed),
    )
    if home is not None:
        check_home(placed, home.id, REGIONS, violations)
        check_shallow(draft, placed, REGIONS, violations)
    check_capacity(draft, placed, violations)
    check_replica_sets(placed, violations)
    encryption_rules.check_alike(placed, violations)
    if command.source is None:
        disks = [one.disk for one in command.disks]
        encryption_rules.check_disks(placed, disks, violations, stored=False)
    return draft, placed
