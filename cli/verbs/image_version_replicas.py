"""`stoa image-version list-replicas` and `retry`: each copy of a version, and those that failed."""

from typing import Annotated, Final

import typer
from stoa.replication.v1 import replication_service_pb2 as requests
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.output import Column, Record, note
from cli.verbs import names
from cli.verbs.ending import started
from cli.verbs.following import follow
from cli.verbs.options import (
    Definition,
    Filter,
    GalleryName,
    MaxItems,
    NoWait,
    ResourceGroup,
    Subscription,
    Version,
)
from cli.verbs.words import last, word
from cli.waiting import result


def _verified_cell(record: Record) -> str:
    """Since when every disk is known to be what it was: the oldest look at one."""
    return min((str(disk.get("verifyTime", "")) for disk in record.get("disks", ())), default="")


def _healed_cell(record: Record) -> int:
    return sum(int(disk.get("healCount", 0)) for disk in record.get("disks", ()))


_COLUMNS: Final = (
    Column("Region", "location"),
    Column("Slot", "slot"),
    Column("State", word("state", "COPY_STATE_")),
    Column("Health", word("health", "REPLICA_HEALTH_")),
    Column("Verified", _verified_cell),
    Column("Healed", _healed_cell),
    Column("Cause", "cause.status.message"),
)
_RETRIED: Final = (
    Column("Replication", last("name")),
    Column("State", word("state", "STATE_")),
    Column("Ended", "endTime"),
)


def _stub() -> ReplicationServiceStub:
    return current().connection.stub("replication", ReplicationServiceStub)


def list_replicas(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List where each copy of a version is, how far, and in what health."""
    name = names.version(subscription, resource_group, gallery_name, definition, number=version)
    request = requests.ListReplicasRequest(parent=name, filter=filter)
    found = pages(_stub().ListReplicas, request, "replicas", limit=max_items)
    current().output.list(found, _COLUMNS)


def retry(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    definition: Definition,
    version: Version,
    region: Annotated[
        list[str] | None,
        typer.Option(help="Only these ... [default: all that failed or were cancelled]"),
    ] = None,
    no_wait: NoWait = False,
    subscription: Subscription = None,
) -> None:
    """Copy to the regions that failed or were cancelled once more, and to no others.

    What is there of them already is not copied again.
    """
    name = names.version(subscription, resource_group, gallery_name, definition, number=version)
    operation = _stub().RetryReplication(
        requests.RetryReplicationRequest(name=name, locations=region or ())
    )
    if no_wait:
        started(operation)
        return
    note(f"Operation {operation.name}")
    current().output.show(result(follow(operation, service="replication")), _RETRIED)
