"""`stoa region update`: what may be changed of a region, its stores included."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.replication.v1 import region_pb2 as pb
from stoa.replication.v1 import region_service_pb2 as requests
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub

from cli.errors import UsageProblem
from cli.invocation import current
from cli.verbs.names import region_id
from cli.verbs.options import Etag, Name, ValidateOnly, something
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
    read_store,
    set_limits,
)


def update(
    *,
    name: Name,
    display_name: Annotated[str, typer.Option(help="Its name for people.")] = "",
    slot: Slots = None,
    remove_slot: Annotated[
        list[str] | None, typer.Option(help="The id of a slot that nothing lies in ...")
    ] = None,
    replace_slot: Annotated[
        list[str] | None,
        typer.Option(
            help="ID[=URL] of a slot whose store is gone for good, and where the empty one is "
            "that takes its place. What is in other slots and regions is written anew ..."
        ),
    ] = None,
    zone: Zones = None,
    capability: Capabilities = None,
    prices: Prices = "",
    concurrent_copies: ConcurrentCopies = "",
    bandwidth: Bandwidth = "",
    total_bytes: TotalBytes = "",
    etag: Etag = "",
    validate_only: ValidateOnly = False,
) -> None:
    """Change a region. A `--slot` with an id that is there changes that slot, others are added."""
    full = f"regions/{region_id(name)}"
    stub = current().connection.stub("replication", RegionServiceStub)
    region = pb.Region(name=full, etag=etag)
    paths = set_limits(region, copies=concurrent_copies, bandwidth=bandwidth, total=total_bytes)
    if display_name:
        region.display_name = display_name
        paths.append("display_name")
    if zone is not None:
        region.zones.extend(zone)
        paths.append("zones")
    if capability is not None:
        region.capabilities.extend(read_capabilities(capability))
        paths.append("capabilities")
    if prices:
        region.prices.CopyFrom(read_prices(prices))
        paths.append("prices")
    replaced = [read_store(text, option="--replace-slot") for text in replace_slot or ()]
    if slot or remove_slot or replaced:
        found = stub.GetRegion(requests.GetRegionRequest(name=full))
        # The slots are sent whole: whoever changes them at the same time is not overwritten.
        region.etag = etag or found.etag
        region.slots.extend(_slots(found, slot or [], remove_slot or [], dict(replaced)))
        paths.append("slots")
    request = requests.UpdateRegionRequest(
        region=region,
        update_mask=FieldMask(paths=something(paths)),
        replaced_slots=[identity for identity, _ in replaced],
        validate_only=validate_only,
    )
    current().output.show(stub.UpdateRegion(request))


def _slots(
    region: pb.Region, changed: list[str], removed: list[str], replaced: dict[str, str]
) -> list[pb.ReplicaSlot]:
    slots = {one.id: one for one in region.slots}
    for identity in [*removed, *replaced]:
        if identity not in slots:
            raise UsageProblem(f"{region.name} has no slot {identity}.")
    for identity in removed:
        del slots[identity]
    for identity, url in replaced.items():
        if url and identity in slots:
            slots[identity].store_url = url
    for text in changed:
        slot = read_slot(text, slots.values())
        slots[slot.id] = slot
    return list(slots.values())
