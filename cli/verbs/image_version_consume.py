"""Commands about versions for those who use them: resolve, pull, and the versions of others."""

from pathlib import Path
from typing import Annotated

import typer
from stoa.catalog.v1 import community_gallery_service_pb2 as community
from stoa.catalog.v1 import image_resolution_pb2 as resolution
from stoa.catalog.v1 import image_version_requests_pb2 as requests
from stoa.catalog.v1 import shared_gallery_service_pb2 as shared
from stoa.catalog.v1.community_gallery_service_pb2_grpc import CommunityGalleryServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.shared_gallery_service_pb2_grpc import SharedGalleryServiceStub
from stoa.catalog.v1.storage_profile_pb2 import StorageProfile
from stoa.catalog.v1.view_storage_profile_pb2 import ViewStorageProfile
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub

from cli.connection import pages
from cli.errors import CliError, ExitCode, UsageProblem
from cli.invocation import current
from cli.output import Column, Record, human_bytes
from cli.transfer.file_format import FileFormat
from cli.transfer.opening import Source
from cli.transfer.progress import view
from cli.transfer.pull import STREAMS, selected
from cli.transfer.pull import pull as transfer
from cli.verbs import names
from cli.verbs.options import (
    AcceptTerms,
    Definition,
    Location,
    MaxItems,
    PublicName,
    Subscription,
    UniqueName,
    Version,
)
from cli.verbs.words import last

Group = Annotated[str | None, typer.Option("--resource-group", "-g", help="Of one's own gallery.")]
Gallery = Annotated[str | None, typer.Option("--gallery-name", "-r", help="One's own gallery.")]


def _disks_cell(record: Record) -> str:
    profile = record.get("storageProfile", {})
    os_disk = profile.get("osDiskImage", {})
    data = profile.get("dataDiskImages", ())
    sizes = [("os", os_disk), *((f"lun {one.get('lun', 0)}", one) for one in data)]
    return ", ".join(f"{label} {human_bytes(int(one.get('sizeBytes', 0)))}" for label, one in sizes)


_VIEW_COLUMNS = (
    Column("Name", last("name")),
    Column("Published", "publishTime"),
    Column("Disks", _disks_cell),
    Column("Excluded from latest", "excludeFromLatest"),
)
_PULLED_COLUMNS = (
    Column("Disk", "disk"),
    Column("File", "file"),
    Column("Size", lambda record: human_bytes(int(record["sizeBytes"]))),
    Column("From", "location"),
    Column("Verified", "verified"),
    Column("From seeds", lambda record: human_bytes(int(record["seededBytes"]))),
    Column("BLAKE3", "blake3"),
    Column("SHA-256", "sha256"),
)


def resolve(
    *,
    definition: Definition,
    location: Location,
    version: Version = "latest",
    resource_group: Group = None,
    gallery_name: Gallery = None,
    gallery_unique_name: UniqueName = None,
    public_gallery_name: PublicName = None,
    subscription: Subscription = None,
) -> None:
    """Say which exact version `latest` is in a region, or whether a version can be used there."""
    image = names.image(
        subscription,
        definition,
        location=location,
        resource_group=resource_group,
        gallery_name=gallery_name,
        unique_name=gallery_unique_name,
        public_name=public_gallery_name,
    )
    current().output.show(_resolve(image, version, location))


def pull(
    *,
    definition: Definition,
    location: Location,
    version: Version = "latest",
    resource_group: Group = None,
    gallery_name: Gallery = None,
    gallery_unique_name: UniqueName = None,
    public_gallery_name: PublicName = None,
    disk: Annotated[
        list[str] | None, typer.Option(help="os, or the LUN of a data disk ... [default: all]")
    ] = None,
    directory: Annotated[
        Path, typer.Option("--directory", "-d", help="Where os.img, lun0.img ... are written.")
    ] = Path(),
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Instead: of one disk; or a block device.")
    ] = None,
    seed: Annotated[
        list[Path] | None,
        typer.Option(
            help="An older version here, whose equal parts are not moved again ...",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    format_: Annotated[
        FileFormat, typer.Option("--format", help="Of the files; a vhd is one of fixed size.")
    ] = FileFormat.RAW,
    sha256: Annotated[bool, typer.Option("--sha256", help="Print SHA-256 as well.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    streams: Annotated[int, typer.Option(min=1, max=32, help="Parallel reads.")] = STREAMS,
    accept_terms: AcceptTerms = False,
    subscription: Subscription = None,
) -> None:
    """Pull the disks of a version into sparse files, every byte verified.

    A pull that broke goes on where it stopped when repeated. What seeds have is not moved again,
    nor what a file has that --overwrite replaces. Sizes and digests are those of the disks,
    whatever the format of the files.
    """
    image = names.image(
        subscription,
        definition,
        location=location,
        resource_group=resource_group,
        gallery_name=gallery_name,
        unique_name=gallery_unique_name,
        public_name=public_gallery_name,
    )
    found = _resolve(image, version, location)
    disks = disk or _disks(found.image_version)
    targets = _targets(disks, directory, file, suffix=format_.suffix, overwrite=overwrite)
    stub = current().connection.stub("replication", ImageDiskServiceStub)
    rows = []
    with view() as shown:
        for one, path in targets.items():
            source = Source(found.image_version, found.location, selected(one), accept_terms)
            # A device is compared with the disk in place.
            replaced = [path] if path.is_file() else []
            pulled = transfer(
                stub,
                source,
                path,
                shown,
                sha256=sha256,
                streams=streams,
                form=format_,
                seeds=[*(seed or ()), *replaced],
            )
            rows.append(
                {
                    "disk": one,
                    "file": str(path),
                    "imageVersion": found.image_version,
                    "location": pulled.location,
                    "sizeBytes": str(pulled.size),
                    "verified": pulled.verified,
                    "seededBytes": str(pulled.seeded),
                    "rootDigest": pulled.root_digest.hex(),
                    **pulled.digests,
                }
            )
    current().output.list(rows, _PULLED_COLUMNS)


def list_shared(
    *,
    location: Location,
    gallery_unique_name: Annotated[str, typer.Option(help="The gallery shared with us.")],
    definition: Definition,
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the versions of a gallery shared with us that can be used in a region."""
    parent = names.view(subscription, location, unique_name=gallery_unique_name, public_name=None)
    stub = current().connection.stub("catalog", SharedGalleryServiceStub)
    request = shared.ListSharedGalleryImageVersionsRequest(parent=f"{parent}/images/{definition}")
    field = "shared_gallery_image_versions"
    found = pages(stub.ListSharedGalleryImageVersions, request, field, limit=max_items)
    current().output.list(found, _VIEW_COLUMNS)


def list_community(
    *,
    location: Location,
    public_gallery_name: Annotated[str, typer.Option(help="The community gallery.")],
    definition: Definition,
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the versions of a community gallery that can be used in a region."""
    parent = names.view(subscription, location, unique_name=None, public_name=public_gallery_name)
    stub = current().connection.stub("catalog", CommunityGalleryServiceStub)
    request = community.ListCommunityGalleryImageVersionsRequest(
        parent=f"{parent}/images/{definition}"
    )
    field = "community_gallery_image_versions"
    found = pages(stub.ListCommunityGalleryImageVersions, request, field, limit=max_items)
    current().output.list(found, _VIEW_COLUMNS)


def _resolve(image: str, version: str, location: str) -> resolution.ResolveImageVersionResponse:
    stub = current().connection.stub("catalog", ImageVersionServiceStub)
    name = image if version == "latest" else f"{image}/versions/{version}"
    request = resolution.ResolveImageVersionRequest(image=name, location=location)
    return stub.ResolveImageVersion(request)


def _disks(name: str) -> list[str]:
    """The disks of a version, private or as a view shows it."""
    connection = current().connection
    profile: StorageProfile | ViewStorageProfile
    if "/sharedGalleries/" in name:
        views = connection.stub("catalog", SharedGalleryServiceStub)
        request = shared.GetSharedGalleryImageVersionRequest(name=name)
        profile = views.GetSharedGalleryImageVersion(request).storage_profile
    elif "/communityGalleries/" in name:
        public = connection.stub("catalog", CommunityGalleryServiceStub)
        asked = community.GetCommunityGalleryImageVersionRequest(name=name)
        profile = public.GetCommunityGalleryImageVersion(asked).storage_profile
    else:
        stub = connection.stub("catalog", ImageVersionServiceStub)
        own = requests.GetImageVersionRequest(name=name)
        profile = stub.GetImageVersion(own).storage_profile
    return ["os", *(str(one.lun) for one in profile.data_disk_images)]


def _targets(
    disks: list[str], directory: Path, file: Path | None, *, suffix: str, overwrite: bool
) -> dict[str, Path]:
    """The file of each disk.

    Raises:
        UsageProblem: one file is named for several disks.
        CliError: a file is there already.
    """
    if file is not None and len(disks) > 1:
        raise UsageProblem(
            f"{file} cannot hold {len(disks)} disks.", todo="Say --disk, or --directory"
        )
    found = {
        one: file or directory / (("os" if one == "os" else f"lun{one}") + suffix) for one in disks
    }
    there = [str(path) for path in found.values() if path.exists()]
    if there and not overwrite:
        raise CliError(
            f"Files are there already: {', '.join(there)}",
            todo="Choose another place, or replace them with --overwrite",
            code=ExitCode.CONFLICT,
        )
    return found
