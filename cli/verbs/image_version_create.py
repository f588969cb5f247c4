"""`stoa image-version create`: publishes a version and waits for its regions."""

from typing import Annotated

import typer
from stoa.catalog.v1 import image_definition_service_pb2, image_version_pb2
from stoa.catalog.v1 import image_version_requests_pb2 as requests
from stoa.catalog.v1.image_definition_service_pb2_grpc import ImageDefinitionServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.type.v1.storage_pb2 import ReplicationMode

from cli.invocation import current
from cli.verbs import names, values
from cli.verbs.image_version_ending import changed_version, fill_safety, wait_mode
from cli.verbs.image_version_plan import planned
from cli.verbs.options import (
    AcceptTerms,
    BlockDeletion,
    Definition,
    DeletionGuard,
    EndOfLife,
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
)
from cli.verbs.target_regions import storage_type, target_regions
from cli.verbs.version_sources import Sources
from cli.verbs.words import value


def create(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    location: Annotated[
        str, typer.Option("--location", "-l", help="Home region. [default: the definition's]")
    ] = "",
    managed_image: Annotated[str, typer.Option(help="Made of this managed image.")] = "",
    virtual_machine: Annotated[str, typer.Option(help="Made of this virtual machine.")] = "",
    image_version: Annotated[
        str, typer.Option(help="Made of this version; its full name, or a view's.")
    ] = "",
    os_blob: Annotated[str, typer.Option(help="Its OS disk is this blob.")] = "",
    os_disk: Annotated[str, typer.Option(help="Its OS disk is this disk.")] = "",
    os_snapshot: Annotated[str, typer.Option(help="Its OS disk is this snapshot.")] = "",
    os_vhd_uri: Annotated[
        str, typer.Option(help="Its OS disk is the VHD at this path of the storage account.")
    ] = "",
    os_vhd_storage_account: Annotated[
        str, typer.Option(help="The storage account of --os-vhd-uri.")
    ] = "",
    data_blobs: Annotated[list[str] | None, typer.Option(help="[LUN=]BLOB ...")] = None,
    data_disks: Annotated[list[str] | None, typer.Option(help="[LUN=]DISK ...")] = None,
    data_snapshots: Annotated[list[str] | None, typer.Option(help="[LUN=]SNAPSHOT ...")] = None,
    data_snapshot_luns: Annotated[
        list[int] | None, typer.Option(help="Their LUNs, if not said there.")
    ] = None,
    data_vhds_uris: Annotated[list[str] | None, typer.Option(help="Paths of VHDs ...")] = None,
    data_vhds_storage_accounts: Annotated[
        list[str] | None,
        typer.Option(
            "--data-vhds-sa",
            "--data-vhds-storage-accounts",
            help="One account for all, or one for each. [default: that of the OS disk]",
        ),
    ] = None,
    data_vhds_luns: Annotated[
        list[int] | None, typer.Option(help="Their LUNs. [default: from 0]")
    ] = None,
    target_regions_given: TargetRegions = None,
    target_region_encryption: RegionEncryption = None,
    replica_count: ReplicaCount = None,
    storage_account_type: Annotated[
        str, typer.Option(help="Standard_LRS, Standard_ZRS, Premium_LRS or PremiumV2_LRS.")
    ] = "",
    replication_mode: Annotated[str, typer.Option(help="Full or Shallow.")] = "",
    exclude_from_latest: Annotated[
        bool, typer.Option("--exclude-from-latest", help="Never resolve `latest` to it.")
    ] = False,
    end_of_life_date: EndOfLife = "",
    allow_replicated_location_deletion: DeletionGuard = None,
    block_deletion_before_end_of_life: BlockDeletion = None,
    wait_for: WaitFor = "all_regions",
    accept_terms: AcceptTerms = False,
    tags: Tags = None,
    validate_only: ValidateOnly = False,
    plan: Plan = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Create a version and show how it spreads, region by region.

    Without --target-regions it is wanted in its home region alone.
    """
    parent = names.definition(subscription, resource_group, gallery_name, definition)
    sources = Sources(
        subscription=subscription,
        resource_group=resource_group,
        managed_image=managed_image,
        virtual_machine=virtual_machine,
        image_version=image_version,
        os_blob=os_blob,
        os_disk=os_disk,
        os_snapshot=os_snapshot,
        os_vhd_uri=os_vhd_uri,
        os_vhd_storage_account=os_vhd_storage_account,
        data_blobs=data_blobs or (),
        data_disks=data_disks or (),
        data_snapshots=data_snapshots or (),
        data_snapshot_luns=data_snapshot_luns or (),
        data_vhds_uris=data_vhds_uris or (),
        data_vhds_sa=data_vhds_storage_accounts or (),
        data_vhds_luns=data_vhds_luns or (),
    )
    wanted = image_version_pb2.ImageVersion(
        storage_profile=sources.profile(),
        target_regions=target_regions(
            target_regions_given,
            target_region_encryption,
            subscription=subscription,
            resource_group=resource_group,
        ),
        replica_count=replica_count,
        exclude_from_latest=True if exclude_from_latest else None,
        tags=pairs("--tags", tags),
    )
    if storage_account_type:
        wanted.storage_account_type = storage_type(storage_account_type)
    if replication_mode:
        wanted.replication_mode = value(
            ReplicationMode, "REPLICATION_MODE_", replication_mode, option="--replication-mode"
        )
    if end_of_life_date:
        wanted.end_of_life_time.CopyFrom(values.time("--end-of-life-date", end_of_life_date))
    fill_safety(
        wanted,
        guard=allow_replicated_location_deletion,
        block=block_deletion_before_end_of_life,
    )
    wait = wait_mode(wait_for)
    wanted.location = location or _home_of(parent)
    request = requests.CreateImageVersionRequest(
        parent=parent,
        image_version_id=version,
        image_version=wanted,
        wait_for=wait,
        accept_terms=accept_terms,
        validate_only=validate_only,
    )
    if plan:
        name = f"{parent}/versions/{version}"
        planned(requests.PlanImageVersionRequest(name=name, create=request), no_wait=no_wait)
        return
    stub = current().connection.stub("catalog", ImageVersionServiceStub)
    changed_version(stub.CreateImageVersion(request), no_wait=no_wait)


def _home_of(definition: str) -> str:
    stub = current().connection.stub("catalog", ImageDefinitionServiceStub)
    request = image_definition_service_pb2.GetImageDefinitionRequest(name=definition)
    return stub.GetImageDefinition(request).location
