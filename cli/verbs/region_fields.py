"""What `stoa region create` and `update` say of a region, as options and as fields."""

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from stoa.replication.v1 import region_pb2 as pb

from cli.errors import UsageProblem
from cli.verbs.words import value

Slots = Annotated[
    list[str] | None,
    typer.Option(
        "--slot",
        help="ID=URL[,domain=D][,zone=Z][,tier=standard|premium|premium_v2] ...; the URL begins "
        "with file:///, s3://, gs:// or az://.",
    ),
]
Zones = Annotated[list[str] | None, typer.Option("--zone", help="Its zones.")]
Capabilities = Annotated[
    list[str] | None, typer.Option("--capability", help="What it can: confidential ...")
]
Prices = Annotated[
    str,
    typer.Option(
        help="USD[,stored=A][,crossed=B]: of a GiB stored for a month, of one that is moved here."
    ),
]
ConcurrentCopies = Annotated[
    int | None, typer.Option(min=0, help="Replicas that are written at a time; 0 for no limit.")
]
Bandwidth = Annotated[
    int | None,
    typer.Option(
        "--bandwidth", min=0, help="Bytes a second that are written in all; 0 for no limit."
    ),
]
TotalBytes = Annotated[
    int | None, typer.Option(min=0, help="Bytes that may lie in it in all; 0 for no limit.")
]


def read_slot(text: str, slots: Iterable[pb.ReplicaSlot] = ()) -> pb.ReplicaSlot:
    """The slot that a text like `a=/srv/a,domain=rack1` means.

    What it does not say is as it was of the one among `slots` that has the id.

    Raises:
        UsageProblem: it means none.
    """
    first, *more = text.split(",")
    identity, url = read_store(first, option="--slot")
    if not url:
        raise UsageProblem(f"{text} is no slot.", todo="Say --slot ID=URL")
    found = next((one for one in slots if one.id == identity), pb.ReplicaSlot(id=identity))
    found.store_url = url
    for key, given in _properties(more, ("domain", "zone", "tier"), what="a slot"):
        match key:
            case "domain":
                found.failure_domain = given
            case "zone":
                found.zone = given
            case _:
                found.tier = value(pb.SlotTier, "SLOT_TIER_", given, option="tier of --slot")
    return found


def read_store(text: str, *, option: str) -> tuple[str, str]:
    """The id and the URL of a slot, which is empty where there is only an id; UsageProblem."""
    identity, _, url = text.partition("=")
    if not identity:
        raise UsageProblem(f"{text} is no slot.", todo=f"Say {option} ID=URL")
    if url and "://" not in url:
        url = Path(url).expanduser().absolute().as_uri()
    return identity, url


def read_prices(text: str) -> pb.RegionPrices:
    """The prices that a text like `USD,stored=0.02,crossed=0.08` means; UsageProblem."""
    currency, *more = text.split(",")
    found = pb.RegionPrices(currency_code=currency)
    for key, given in _properties(more, ("stored", "crossed"), what="prices"):
        if key == "stored":
            found.stored_gib_month_micros = _micros(given)
        else:
            found.crossed_gib_micros = _micros(given)
    return found


def read_capabilities(words: Sequence[str]) -> list[pb.RegionCapability.ValueType]:
    """The capabilities that words mean; UsageProblem."""
    prefix = "REGION_CAPABILITY_"
    return [value(pb.RegionCapability, prefix, one, option="--capability") for one in words]


def set_limits(
    region: pb.Region, *, copies: int | None, bandwidth: int | None, total: int | None
) -> list[str]:
    """Set the limits that are given, 0 for none, and answer their paths."""
    given = {
        "concurrent_copies": copies,
        "bandwidth_bytes_per_second": bandwidth,
        "total_bytes": total,
    }
    for field, limit in given.items():
        if limit:
            setattr(region.limits, field, limit)
    return [f"limits.{field}" for field, limit in given.items() if limit is not None]


def _properties(
    texts: Sequence[str], known: tuple[str, ...], *, what: str
) -> list[tuple[str, str]]:
    found = []
    for text in texts:
        key, _, given = text.partition("=")
        if key not in known:
            raise UsageProblem(
                f"{key} is no property of {what}.", todo=f"There are {', '.join(known)}."
            )
        found.append((key, given))
    return found


def _micros(text: str) -> int:
    try:
        return int(Decimal(text).scaleb(6).to_integral_value())
    except InvalidOperation:
        raise UsageProblem(f"{text} is no price.", todo="Say a number: 0.02") from None
