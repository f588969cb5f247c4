"""`stoa image-version create`: publishes a version and waits for its regions."""

from typing import Annotated

import typer
from stoa.catalog.v1 import image_definition_service_pb2, image_version_pb2, storage_profile_pb2
from stoa.catalog.v1 import image_version_requests_pb2 as requests
from stoa.catalog.v1.image_definition_service_pb2_grpc import ImageDefinitionServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.target_region_pb2 import TargetRegion
from stoa.type.v1.storage_pb2 import StorageAccountType

from cli.errors import UsageProblem
from cli.invocation import current
from cli.output import note
from cli.verbs import names
from cli.verbs.ending import started
from cli.verbs.following import follow
from cli.verbs.managed_image import by_lun
from cli.verbs.options import (
    AcceptTerms,
    Definition,
    GalleryName,
    NoWait,
    ResourceGroup,
    Subscription,
    Tags,
    Version,
    exactly_one,
    pairs,
)
from cli.verbs.words import value
from cli.waiting import result


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
    os_snapshot: Annotated[str, typer.Option(help="Its OS disk is this snapshot.")] = "",
    data_blobs: Annotated[
        list[str] | None, typer.Option(help="[LUN=]BLOB ..., with --os-blob.")
    ] = None,
    data_snapshots: Annotated[
        list[str] | None, typer.Option(help="[LUN=]SNAPSHOT ..., with --os-snapshot.")
    ] = None,
    target_regions: Annotated[
        list[str] | None,
        typer.Option(
            help="REGION[=COUNT[=TYPE]] ...: 'eastus=2' 'westus' 'East US 2=1=Standard_ZRS'. "
            "[default: the home region]"
        ),
    ] = None,
    replica_count: Annotated[
        int | None, typer.Option(help="Replicas in each region that names no count.")
    ] = None,
    storage_account_type: Annotated[
        str, typer.Option(help="Standard_LRS, Standard_ZRS, Premium_LRS or PremiumV2_LRS.")
    ] = "",
    exclude_from_latest: Annotated[
        bool, typer.Option("--exclude-from-latest", help="Never resolve `latest` to it.")
    ] = False,
    wait_for: Annotated[
        str, typer.Option(help="accepted, home_region or all_regions.")
    ] = "all_regions",
    accept_terms: AcceptTerms = False,
    tags: Tags = None,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Create a version and show how it spreads, region by region."""
    parent = names.definition(subscription, resource_group, gallery_name, definition)
    sources = _Sources(
        group=names.group(subscription, resource_group),
        managed_image=managed_image,
        virtual_machine=virtual_machine,
        image_version=image_version,
        os_blob=os_blob,
        os_snapshot=os_snapshot,
        data_blobs=data_blobs,
        data_snapshots=data_snapshots,
    )
    wanted = image_version_pb2.ImageVersion(
        storage_profile=sources.profile(),
        target_regions=[target_region(one) for one in target_regions or ()],
        tags=pairs("--tags", tags),
    )
    if replica_count is not None:
        wanted.replica_count = replica_count
    if exclude_from_latest:
        wanted.exclude_from_latest = True
    if storage_account_type:
        wanted.storage_account_type = _storage_type(storage_account_type)
    wanted.location = location or _home_of(parent)
    request = requests.CreateImageVersionRequest(
        parent=parent,
        image_version_id=version,
        image_version=wanted,
        wait_for=value(image_version_pb2.WaitMode, "WAIT_MODE_", wait_for, option="--wait-for"),
        accept_terms=accept_terms,
    )
    stub = current().connection.stub("catalog", ImageVersionServiceStub)
    operation = stub.CreateImageVersion(request)
    if no_wait:
        started(operation)
        return
    note(f"Operation {operation.name}")
    from cli.verbs.image_version import COLUMNS

    current().output.show(result(follow(operation)), COLUMNS)


class _Sources:
    """What a version is made of, by the options that say so."""

    def __init__(self, *, group: str, **given: str | list[str] | None) -> None:
        self._group = group
        self._given = given

    def profile(self) -> storage_profile_pb2.StorageProfile:
        """The storage profile.

        Raises:
            UsageProblem: the options name no source, or several.
        """
        kinds = ("managed_image", "virtual_machine", "image_version", "os_blob", "os_snapshot")
        kind = exactly_one(**{name: self._given[name] for name in kinds})
        self._refuse_strangers(kind)
        pb = storage_profile_pb2
        match kind:
            case "managed_image":
                name = self._in_group("managedImages", self._text(kind))
                return pb.StorageProfile(source=pb.VersionSource(managed_image=name))
            case "virtual_machine":
                name = self._in_group("virtualMachines", self._text(kind))
                return pb.StorageProfile(source=pb.VersionSource(virtual_machine=name))
            case "image_version":
                return pb.StorageProfile(source=_version_source(self._text(kind)))
            case "os_blob":
                return self._disks("blob", self._text(kind), self._list("data_blobs"))
            case _:
                return self._disks("snapshot", self._text(kind), self._list("data_snapshots"))

    def _refuse_strangers(self, kind: str) -> None:
        for option, needed in (("data_blobs", "os_blob"), ("data_snapshots", "os_snapshot")):
            if self._given[option] and kind != needed:
                raise UsageProblem(
                    f"--{option.replace('_', '-')} needs --{needed.replace('_', '-')}."
                )

    def _disks(
        self, kind: str, os_disk: str, data: list[str]
    ) -> storage_profile_pb2.StorageProfile:
        pb = storage_profile_pb2

        def source(given: str) -> storage_profile_pb2.DiskSource:
            name = self._in_group(f"{kind}s", given)
            return pb.DiskSource(blob=name) if kind == "blob" else pb.DiskSource(snapshot=name)

        return pb.StorageProfile(
            os_disk_image=pb.OsDiskImage(source=source(os_disk)),
            data_disk_images=[
                pb.DataDiskImage(lun=lun, source=source(one)) for lun, one in by_lun(data).items()
            ],
        )

    def _in_group(self, collection: str, given: str) -> str:
        return given if "/" in given else f"{self._group}/{collection}/{given}"

    def _text(self, option: str) -> str:
        return str(self._given[option])

    def _list(self, option: str) -> list[str]:
        found = self._given[option]
        return found if isinstance(found, list) else []


def _version_source(name: str) -> storage_profile_pb2.VersionSource:
    pb = storage_profile_pb2
    if "/sharedGalleries/" in name:
        return pb.VersionSource(shared_gallery_image_version=name)
    if "/communityGalleries/" in name:
        return pb.VersionSource(community_gallery_image_version=name)
    return pb.VersionSource(image_version=name)


def target_region(text: str) -> TargetRegion:
    """Read `REGION[=COUNT[=TYPE]]`.

    Raises:
        UsageProblem: the count is no number, or the type none of storage.
    """
    location, _, rest = text.partition("=")
    count, _, kind = rest.partition("=")
    found = TargetRegion(location=location)
    if count:
        try:
            found.regional_replica_count = int(count)
        except ValueError:
            raise UsageProblem(
                f"{text} is no value of --target-regions.", todo="Say --target-regions eastus=2"
            ) from None
    if kind:
        found.storage_account_type = _storage_type(kind)
    return found


def _storage_type(word: str) -> StorageAccountType.ValueType:
    return value(StorageAccountType, "STORAGE_ACCOUNT_TYPE_", word, option="--storage-account-type")


def _home_of(definition: str) -> str:
    stub = current().connection.stub("catalog", ImageDefinitionServiceStub)
    request = image_definition_service_pb2.GetImageDefinitionRequest(name=definition)
    return stub.GetImageDefinition(request).location
