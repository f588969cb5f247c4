"""`stoa usage`: how much a subscription uses in a region, and how much it may."""

from typing import Annotated

import typer
from stoa.catalog.v1 import usage_service_pb2 as requests
from stoa.catalog.v1.usage_service_pb2_grpc import UsageServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.output import Column, Record, at, human_bytes
from cli.verbs import names
from cli.verbs.options import Filter, Location, MaxItems, Subscription
from cli.verbs.words import last

app = typer.Typer(no_args_is_help=True)


def _number(path: str) -> Column:
    """A column of a number, in binary units where it counts bytes."""

    def read(record: Record) -> str:
        found = at(record, path)
        if found is None:
            return ""
        return human_bytes(int(found)) if record.get("unit") == "UNIT_BYTES" else str(found)

    heading = {"currentValue": "Used", "limit": "Limit"}[path]
    return Column(heading, read)


def _cost(record: Record) -> str:
    found = record.get("cost")
    if found is None:
        return ""
    whole, rest = divmod(int(found.get("micros", 0)), 1_000_000)
    return f"{whole}.{rest:06} {found.get('currencyCode', '')}"


_COLUMNS = (
    Column("Metric", last("name")),
    _number("currentValue"),
    _number("limit"),
    Column("Cost", _cost),
)


def _stub() -> UsageServiceStub:
    return current().connection.stub("catalog", UsageServiceStub)


@app.command(name="list")
def list_(
    *,
    location: Annotated[
        str, typer.Option("--location", "-l", help="The region. [default: all that are used]")
    ] = "",
    filter: Filter = "",
    max_items: MaxItems = None,
    subscription: Subscription = None,
) -> None:
    """List what is used, and the limits; `-` for the subscription means all that we may see."""
    place = names.region_id(location) if location else "-"
    parent = names.view_parent(subscription, place)
    request = requests.ListUsagesRequest(parent=parent, filter=filter)
    found = pages(_stub().ListUsages, request, "usages", limit=max_items)
    where = () if location else (Column("Location", "location"),)
    whose = (Column("Subscription", _subscription),) if parent.startswith(_ALL) else ()
    current().output.list(found, (*whose, *where, *_COLUMNS))


@app.command()
def show(
    *,
    location: Location,
    metric: Annotated[str, typer.Option("--metric", "-m", help="For example storedBytes.")],
    subscription: Subscription = None,
) -> None:
    """Show one metric."""
    name = f"{names.view_parent(subscription, location)}/usages/{metric}"
    current().output.show(_stub().GetUsage(requests.GetUsageRequest(name=name)), _COLUMNS)


_ALL = "subscriptions/-/"


def _subscription(record: Record) -> str:
    return str(record.get("name", "")).split("/")[1]
