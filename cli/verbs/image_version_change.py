"""Commands that change a version: its regions and counts, its dates and flags."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.catalog.v1 import image_version_pb2 as pb
from stoa.catalog.v1 import image_version_requests_pb2 as requests
from stoa.catalog.v1 import target_region_requests_pb2 as regions_pb
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.target_region_pb2 import TargetRegion

from cli.errors import UsageProblem
from cli.invocation import current
from cli.verbs import names, values
from cli.verbs.image_version_ending import changed_version, fill_safety, wait_mode
from cli.verbs.image_version_plan import planned
from cli.verbs.options import (
    BlockDeletion,
    Definition,
    DeletionGuard,
    EndOfLife,
    Etag,
    GalleryName,
    NoWait,
    Plan,
    RegionEncryption,
    ReplicaCount,
    ResourceGroup,
    Subscription,
    Tags,
    TargetRegions,
    ValidateOnly,
    Version,
    WaitFor,
    pairs,
    something,
)
from cli.verbs.target_regions import target_region, target_regions

_ALL = "all_regions"
Excluded = Annotated[
    bool | None,
    typer.Option(
        "--exclude-from-latest/--no-exclude-from-latest", help="Never resolve `latest` to it."
    ),
]
Regions = Annotated[list[str], typer.Option("--target-regions", help="REGION ...")]


def _stub() -> ImageVersionServiceStub:
    return current().connection.stub("catalog", ImageVersionServiceStub)


def update(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    target_regions_given: TargetRegions = None,
    target_region_encryption: RegionEncryption = None,
    replica_count: ReplicaCount = None,
    exclude_from_latest: Excluded = None,
    end_of_life_date: EndOfLife = "",
    allow_replicated_location_deletion: DeletionGuard = None,
    block_deletion_before_end_of_life: BlockDeletion = None,
    tags: Tags = None,
    wait_for: WaitFor = _ALL,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    plan: Plan = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Change a version. Target regions are given whole; see add-region and remove-region too."""
    name = names.version(subscription, resource_group, gallery_name, definition, number=version)
    changed = pb.ImageVersion(name=name, etag=etag)
    paths: list[str] = []
    if target_regions_given is not None:
        changed.target_regions.extend(
            target_regions(
                target_regions_given,
                target_region_encryption,
                subscription=subscription,
                resource_group=resource_group,
            )
        )
        paths.append("target_regions")
    elif target_region_encryption:
        raise UsageProblem("--target-region-encryption needs --target-regions.")
    if replica_count is not None:
        changed.replica_count = replica_count
        paths.append("replica_count")
    if exclude_from_latest is not None:
        changed.exclude_from_latest = exclude_from_latest
        paths.append("exclude_from_latest")
    if end_of_life_date:
        changed.end_of_life_time.CopyFrom(values.time("--end-of-life-date", end_of_life_date))
        paths.append("end_of_life_time")
    paths += fill_safety(
        changed,
        guard=allow_replicated_location_deletion,
        block=block_deletion_before_end_of_life,
    )
    if tags is not None:
        changed.tags.update(pairs("--tags", tags))
        paths.append("tags")
    request = requests.UpdateImageVersionRequest(
        image_version=changed,
        update_mask=FieldMask(paths=something(paths)),
        wait_for=wait_mode(wait_for),
        validate_only=validate_only,
    )
    if plan:
        asked = requests.PlanImageVersionRequest(name=name, update=request)
        planned(asked, no_wait=no_wait)
        return
    changed_version(_stub().UpdateImageVersion(request), no_wait=no_wait)


def add_region(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    target_regions_given: TargetRegions = None,
    target_region_encryption: RegionEncryption = None,
    wait_for: WaitFor = _ALL,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    plan: Plan = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Add target regions to a version, whatever others change at the same time."""
    added = target_regions(
        target_regions_given,
        target_region_encryption,
        subscription=subscription,
        resource_group=resource_group,
    )
    request = regions_pb.AddTargetRegionsRequest(
        name=names.version(subscription, resource_group, gallery_name, definition, number=version),
        target_regions=_given(added),
        wait_for=wait_mode(wait_for),
        etag=etag,
        validate_only=validate_only,
    )
    if plan:
        asked = requests.PlanImageVersionRequest(name=request.name, add_target_regions=request)
        planned(asked, no_wait=no_wait)
        return
    changed_version(_stub().AddTargetRegions(request), no_wait=no_wait)


def remove_region(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    target_regions: Regions,
    wait_for: WaitFor = _ALL,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    plan: Plan = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Remove target regions from a version: it can be used there no more."""
    request = regions_pb.RemoveTargetRegionsRequest(
        name=names.version(subscription, resource_group, gallery_name, definition, number=version),
        locations=target_regions,
        wait_for=wait_mode(wait_for),
        etag=etag,
        validate_only=validate_only,
    )
    if plan:
        asked = requests.PlanImageVersionRequest(name=request.name, remove_target_regions=request)
        planned(asked, no_wait=no_wait)
        return
    changed_version(_stub().RemoveTargetRegions(request), no_wait=no_wait)


def set_replica_count(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    replica_count: ReplicaCount = None,
    target_regions: Annotated[
        list[str] | None,
        typer.Option(help="REGION=COUNT ...; a REGION alone follows --replica-count again."),
    ] = None,
    wait_for: WaitFor = _ALL,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    plan: Plan = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Set how many replicas a version has: in general, in single regions, or both."""
    request = regions_pb.SetReplicaCountsRequest(
        name=names.version(subscription, resource_group, gallery_name, definition, number=version),
        replica_count=replica_count,
        regional_replica_counts=[_count(one) for one in target_regions or ()],
        wait_for=wait_mode(wait_for),
        etag=etag,
        validate_only=validate_only,
    )
    if plan:
        asked = requests.PlanImageVersionRequest(name=request.name, set_replica_counts=request)
        planned(asked, no_wait=no_wait)
        return
    changed_version(_stub().SetReplicaCounts(request), no_wait=no_wait)


def undelete(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    wait_for: WaitFor = _ALL,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Take a soft-deleted version back, with all its replicas."""
    request = requests.UndeleteImageVersionRequest(
        name=names.version(subscription, resource_group, gallery_name, definition, number=version),
        wait_for=wait_mode(wait_for),
        etag=etag,
        validate_only=validate_only,
    )
    changed_version(_stub().UndeleteImageVersion(request), no_wait=no_wait)


def promote(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    wait_for: WaitFor = _ALL,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    plan: Plan = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Make a shallow version a full one: its bytes are copied, its source may go."""
    request = requests.PromoteImageVersionRequest(
        name=names.version(subscription, resource_group, gallery_name, definition, number=version),
        wait_for=wait_mode(wait_for),
        etag=etag,
        validate_only=validate_only,
    )
    if plan:
        asked = requests.PlanImageVersionRequest(name=request.name, promote=request)
        planned(asked, no_wait=no_wait)
        return
    changed_version(_stub().PromoteImageVersion(request), no_wait=no_wait)


def _given(regions: list[TargetRegion]) -> list[TargetRegion]:
    if not regions:
        raise UsageProblem("Which regions?", todo="Say --target-regions REGION ...")
    return regions


def _count(text: str) -> regions_pb.RegionalReplicaCount:
    """Read `REGION[=COUNT]`."""
    found = target_region(text)
    if found.storage_account_type:
        raise UsageProblem(f"{text} is no count.", todo="Say --target-regions eastus=2")
    count = found.regional_replica_count if found.HasField("regional_replica_count") else None
    return regions_pb.RegionalReplicaCount(location=found.location, replica_count=count)
