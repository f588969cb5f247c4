"""`stoa image-version verify`: reads the replicas of a version back, and has damage repaired."""

from typing import Annotated, Final

import typer
from google.longrunning.operations_pb2 import Operation
from stoa.replication.v1 import replica_verification_pb2 as pb
from stoa.replication.v1.copy_state_pb2 import CopyProgress
from stoa.replication.v1.operation_metadata_pb2 import OperationMetadata
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from cli.errors import CliError, ExitCode
from cli.invocation import current
from cli.output import Column, Record, human_bytes, note
from cli.transfer.progress import Line, View, view
from cli.transfer.pull import selected
from cli.verbs import names
from cli.verbs.ending import started
from cli.verbs.options import (
    Definition,
    GalleryName,
    NoWait,
    ResourceGroup,
    Subscription,
    Version,
)
from cli.verbs.words import value, word
from cli.waiting import result, wait

# How long one wait lasts, in seconds, while the progress is shown.
_EVERY: Final = 1


def _disk_cell(record: Record) -> str:
    disk = record.get("disk", {})
    return "os" if disk.get("os") else f"lun {disk.get('lun', 0)}"


def _bytes_cell(field: str) -> Column:
    heading = field.removesuffix("Bytes").capitalize()
    return Column(heading, lambda record: human_bytes(int(record.get(field, 0))))


_COLUMNS: Final = (
    Column("Region", "location"),
    Column("Slot", "slot"),
    Column("Disk", _disk_cell),
    _bytes_cell("damagedBytes"),
    _bytes_cell("repairedBytes"),
    Column("Health", word("health", "REPLICA_HEALTH_")),
    Column("Cause", "cause.status.message"),
)


def verify(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    region: Annotated[
        list[str] | None, typer.Option(help="Only replicas in these ... [default: all]")
    ] = None,
    disk: Annotated[str, typer.Option(help="os, or the LUN of a data disk. [default: all]")] = "",
    depth: Annotated[str, typer.Option(help="full, sample or store-checksum.")] = "full",
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Leave damage as it is.")
    ] = False,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Read the replicas of a version back, and repair what differs from a good copy.

    Lists where something was wrong, repaired or not, and fails where something still is.
    """
    name = names.version(subscription, resource_group, gallery_name, definition, number=version)
    request = pb.VerifyReplicasRequest(
        name=name,
        locations=region or (),
        depth=value(pb.VerificationDepth, "VERIFICATION_DEPTH_", depth, option="--depth"),
        report_only=report_only,
    )
    if disk:
        request.disk.CopyFrom(selected(disk))
    stub = current().connection.stub("replication", ReplicationServiceStub)
    operation = stub.VerifyReplicas(request)
    if no_wait:
        started(operation)
        return
    note(f"Operation {operation.name}")
    with view() as shown:
        done = wait(
            current().connection,
            operation,
            service="replication",
            on_progress=lambda now: _show(shown, now),
            seconds=_EVERY,
        )
    found: pb.VerifyReplicasResponse = result(done)
    _conclude(found)


def _show(shown: View, operation: Operation) -> None:
    metadata = OperationMetadata()
    if not operation.metadata.Unpack(metadata):
        return
    for region in metadata.regions:
        shown.show(_line(region.location, region.progress, finished=operation.done))


def _line(location: str, progress: CopyProgress, *, finished: bool) -> Line:
    read = progress.bytes
    repaired = f"{human_bytes(read.repaired_bytes)} repaired" if read.repaired_bytes else ""
    return Line(
        location,
        "Verified" if finished else "Verifying",
        read.verified_bytes,
        read.total_bytes,
        note=repaired,
        finished=finished,
    )


def _conclude(found: pb.VerifyReplicasResponse) -> None:
    """Print what was found.

    Raises:
        CliError: something is damaged, or could not be read.
    """
    current().output.list(found.findings, _COLUMNS)
    note(
        f"{found.verified_disk_count} disks of replicas verified, {found.damaged_disk_count} "
        f"damaged; {human_bytes(found.repaired_bytes)} repaired"
    )
    if not found.all_good:
        raise CliError("Not every replica is good.", code=ExitCode.CONFLICT)
