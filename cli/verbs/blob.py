"""`stoa blob`: bytes of disks on their way into an installation."""

import uuid
from pathlib import Path
from typing import Annotated

import grpc
import typer
from stoa.replication.v1 import blob_pb2 as pb
from stoa.replication.v1 import blob_service_pb2 as requests
from stoa.replication.v1.blob_service_pb2_grpc import BlobServiceStub
from stoa.type.v1.storage_pb2 import DiskFormat

from cli.connection import pages
from cli.errors import CliError, ExitCode
from cli.invocation import current
from cli.lazy import ListCommand
from cli.messages import to_json
from cli.output import Column, Record, human_bytes, note
from cli.transfer.progress import view
from cli.transfer.retrying import code_of
from cli.transfer.upload import file_size
from cli.transfer.upload import upload as transfer
from cli.verbs import names
from cli.verbs.options import (
    Filter,
    Location,
    MaxItems,
    Name,
    ResourceGroup,
    Subscription,
    Tags,
    Yes,
    pairs,
)
from cli.verbs.words import last, value, word

app = typer.Typer(no_args_is_help=True)


def _bytes_cell(record: Record) -> str:
    done, whole = int(record.get("committedBytes", 0)), int(record.get("sizeBytes", 0))
    return human_bytes(done) if done == whole else f"{human_bytes(done)} of {human_bytes(whole)}"


_COLUMNS = (
    Column("Name", last("name")),
    Column("Location", "location"),
    Column("State", word("state", "STATE_")),
    Column("Size", _bytes_cell),
    Column("Zero", lambda record: human_bytes(int(record.get("zeroBytes", 0)))),
    Column("Stored", lambda record: human_bytes(int(record.get("storedBytes", 0)))),
    Column("BLAKE3", "blake3"),
)


def _stub() -> BlobServiceStub:
    return current().connection.stub("replication", BlobServiceStub)


@app.command(cls=ListCommand)
def upload(
    *,
    resource_group: ResourceGroup,
    name: Name,
    file: Annotated[Path, typer.Option("--file", "-f", help="A raw disk image, or a device.")],
    location: Location,
    format_: Annotated[
        str, typer.Option("--format", help="raw, vhd_fixed, vhd_dynamic, vhdx, qcow2 or vmdk.")
    ] = "raw",
    sha256: Annotated[bool, typer.Option("--sha256", help="Print SHA-256 as well.")] = False,
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Upload a disk; an upload that broke goes on where it stopped when repeated.

    Holes and zeros of the file are not sent. Every piece and the whole are checksummed.
    """
    request = requests.CreateBlobRequest(
        parent=names.group(subscription, resource_group),
        blob_id=name,
        blob=pb.Blob(
            location=location,
            format=value(DiskFormat, "DISK_FORMAT_", format_, option="--format"),
            size_bytes=file_size(file),
            tags=pairs("--tags", tags),
        ),
    )
    blob = _create_or_find(request)
    with view() as shown:
        done = transfer(_stub(), blob, file, shown, sha256=sha256)
    current().output.show({**to_json(done.blob), **done.digests}, _COLUMNS)


@app.command()
def show(*, resource_group: ResourceGroup, name: Name, subscription: Subscription = None) -> None:
    """Show a blob."""
    full = names.in_group(subscription, resource_group, "blobs", name)
    current().output.show(_stub().GetBlob(requests.GetBlobRequest(name=full)))


@app.command(name="list")
def list_(
    *,
    resource_group: ResourceGroup,
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List the blobs of a resource group; `-` means all groups."""
    request = requests.ListBlobsRequest(
        parent=names.group(subscription, resource_group), filter=filter
    )
    found = pages(_stub().ListBlobs, request, "blobs", limit=max_items)
    current().output.list(found, _COLUMNS[:-1])


@app.command()
def delete(
    *,
    resource_group: ResourceGroup,
    name: Name,
    yes: Yes = False,
    subscription: Subscription = None,
) -> None:
    """Delete a blob that no source is made of."""
    full = names.in_group(subscription, resource_group, "blobs", name)
    current().confirm(f"Delete {full}?", yes=yes)
    _stub().DeleteBlob(requests.DeleteBlobRequest(name=full))
    note(f"Deleted {full}")


def _create_or_find(request: requests.CreateBlobRequest) -> pb.Blob:
    """A new blob, or the one of that name where it is the same upload.

    Raises:
        CliError: a blob of another size, format or region has the name.
    """
    request.request_id = str(uuid.uuid4())
    try:
        return _stub().CreateBlob(request)
    except grpc.RpcError as error:
        if code_of(error) is not grpc.StatusCode.ALREADY_EXISTS:
            raise
    name = f"{request.parent}/blobs/{request.blob_id}"
    found = _stub().GetBlob(requests.GetBlobRequest(name=name))
    same = (
        found.size_bytes == request.blob.size_bytes
        and found.format == request.blob.format
        and found.location == names.region_id(request.blob.location)
    )
    if not same:
        raise CliError(
            f"There is another blob {request.blob_id}.",
            why=(f"it has {found.size_bytes} bytes, in {found.location}",),
            todo="Choose another --name, or delete it: stoa blob delete",
            code=ExitCode.CONFLICT,
        )
    if found.state == pb.Blob.STATE_COMMITTED:
        note("It is there already, and is compared with the file.")
    elif found.committed_bytes:
        note(f"Going on at {human_bytes(found.committed_bytes)}.")
    return found
