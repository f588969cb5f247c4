"""What `stoa region create` and `update` say of a region, as options and as fields."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

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
    str, typer.Option(metavar="N|none", help="Replicas that are written at a time.")
]
Bandwidth = Annotated[
    str, typer.Option(metavar="N|none", help="Bytes a second that are written in all.")
]
TotalBytes = Annotated[str, typer.Option(metavar="N|none", help="Bytes that may lie in it in all.")]
_NO_LIMIT: Final = "none"
_INT64_END: Final = 1 << 63


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


def set_limits(region: pb.Region, *, copies: str, bandwidth: str, total: str) -> list[str]:
    """Set the limits that are given, and answer their paths, those of `none` as well.

    Raises:
        UsageProblem: one is no number.
    """
    given = {
        "concurrent_copies": copies,
        "bandwidth_bytes_per_second": bandwidth,
        "total_bytes": total,
    }
    for field, text in given.items():
        if text not in {"", _NO_LIMIT}:
            try:
                setattr(region.limits, field, int(text))
            except ValueError:
                raise UsageProblem(
                    f"{text} is no limit.", todo=f"Say a number, or {_NO_LIMIT}"
                ) from None
    return [f"limits.{field}" for field, text in given.items() if text]


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
        micros = Decimal(text).scaleb(6).to_integral_value()
        if 0 <= micros < _INT64_END:
            return int(micros)
    except ArithmeticError:
        pass
    raise UsageProblem(f"{text} is no price.", todo="Say a number: 0.02")
