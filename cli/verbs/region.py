"""`stoa region`: places that hold replicas."""

from typing import Annotated

import typer
from stoa.replication.v1 import region_pb2 as pb
from stoa.replication.v1 import region_service_pb2 as requests
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub

from cli.connection import pages
from cli.errors import UsageProblem
from cli.installation.layout import Layout
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, Record, human_bytes, note
from cli.verbs.names import region_id
from cli.verbs.options import Filter, MaxItems, Name, Yes
from cli.verbs.region_fields import (
    Bandwidth,
    Capabilities,
    ConcurrentCopies,
    Prices,
    Slots,
    TotalBytes,
    Zones,
    read_capabilities,
    read_prices,
    read_slot,
    set_limits,
)
from cli.verbs.region_update import update
from cli.verbs.words import last

app = typer.Typer(no_args_is_help=True)


def _slots_cell(record: Record) -> str:
    return ", ".join(str(slot.get("id", "")) for slot in record.get("slots", ()))


def _stored_cell(record: Record) -> str:
    stored = sum(int(slot.get("storedBytes", 0)) for slot in record.get("slots", ()))
    return human_bytes(stored)


_COLUMNS = (
    Column("Name", last("name")),
    Column("Display name", "displayName"),
    Column("Zones", "zones"),
    Column("Slots", _slots_cell),
    Column("Stored", _stored_cell),
)


def _stub() -> RegionServiceStub:
    return current().connection.stub("replication", RegionServiceStub)


@app.command(cls=ListCommand)
def create(
    *,
    name: Name,
    display_name: Annotated[str, typer.Option(help="Its name for people: 'East US 2'.")] = "",
    slot: Slots = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, max=26, help="Instead: so many slots in the data directory here."),
    ] = None,
    zone: Zones = None,
    capability: Capabilities = None,
    prices: Prices = "",
    concurrent_copies: ConcurrentCopies = "",
    bandwidth: Bandwidth = "",
    total_bytes: TotalBytes = "",
) -> None:
    """Create a region; each slot holds one replica of a version."""
    identity = region_id(name)
    if slot and slots:
        raise UsageProblem("Either --slot or --slots.")
    region = pb.Region(
        display_name=display_name or (name if " " in name else ""),
        zones=zone or (),
        slots=[read_slot(text) for text in slot or ()] or _local_slots(identity, slots or 1),
        capabilities=read_capabilities(capability or ()),
        prices=read_prices(prices) if prices else None,
    )
    set_limits(region, copies=concurrent_copies, bandwidth=bandwidth, total=total_bytes)
    request = requests.CreateRegionRequest(region_id=identity, region=region)
    current().output.show(_stub().CreateRegion(request), _COLUMNS)


app.command()(update)


@app.command()
def show(*, name: Name) -> None:
    """Show a region."""
    request = requests.GetRegionRequest(name=f"regions/{region_id(name)}")
    current().output.show(_stub().GetRegion(request))


@app.command(name="list")
def list_(*, filter: Filter = "", max_items: MaxItems = None) -> None:
    """List the regions."""
    request = requests.ListRegionsRequest(filter=filter)
    found = pages(_stub().ListRegions, request, "regions", limit=max_items)
    current().output.list(found, _COLUMNS)


@app.command()
def delete(*, name: Name, yes: Yes = False) -> None:
    """Delete a region that nothing lies in."""
    full = f"regions/{region_id(name)}"
    current().confirm(f"Delete {full}?", yes=yes)
    _stub().DeleteRegion(requests.DeleteRegionRequest(name=full))
    note(f"Deleted {full}")


def _local_slots(identity: str, count: int) -> list[pb.ReplicaSlot]:
    """Slots in the data directory of an installation on this machine."""
    data = current().target.data
    if data is None:
        raise UsageProblem(
            "Where shall the region keep its bytes?",
            todo="Say --slot ID=URL, for example a=s3://...",
        )
    root = Layout(data).stores / identity
    ids = [chr(ord("a") + i) for i in range(count)]
    return [pb.ReplicaSlot(id=one, store_url=(root / one).as_uri()) for one in ids]
