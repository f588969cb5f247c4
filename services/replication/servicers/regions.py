"""stoa.replication.v1.RegionService."""

from typing import Final

from google.protobuf.empty_pb2 import Empty
from stoa.replication.v1 import region_pb2
from stoa.replication.v1 import region_service_pb2 as pb

from services.kernel.filter import Comparison, Kind
from services.kernel.names import ROOT
from services.kernel.rpc.call import Call
from services.replication.convert.regions import region_draft, region_message
from services.replication.domain.names import location_key
from services.replication.domain.region import Region
from services.replication.ports.requests import Request
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.filters import compared
from services.replication.servicers.requests import Pages, identified, serialized
from services.replication.usecases.regions import Regions, StoredRegion
from services.replication.usecases.slot_opening import SlotOpening

READ_ACTION: Final = "Stoa.Replication/regions/read"
_ORDERS: Final = {
    "name": ("id",),
    "display_name": ("display_key", "id"),
    "create_time": ("create_time", "id"),
}
_FIELDS: Final = {
    "name": Kind.STRING,
    "display_name": Kind.STRING,
    "zones": Kind.STRING,
    "capabilities": Kind.STRING,
}


class RegionServicer:
    """Every caller reads what is needed to publish and to consume; operators see all."""

    def __init__(self, parts: Dependencies) -> None:
        self._regions: Final = Regions(
            parts.rows, SlotOpening(parts.rows, parts.stores), parts.clock
        )
        self._pages: Final = Pages(parts.page_tokens)

    def CreateRegion(self, request: pb.CreateRegionRequest, call: Call) -> bytes:
        return self._regions.create(
            request.region_id,
            region_draft(request.region),
            identified(request, call, _reply),
            call.violations,
            validate_only=request.validate_only,
        )

    def GetRegion(self, request: pb.GetRegionRequest, call: Call) -> region_pb2.Region:
        call.violations.raise_if_any()
        return _shown(self._regions.get(location_key(_id(call))), call)

    def ListRegions(self, request: pb.ListRegionsRequest, call: Call) -> pb.ListRegionsResponse:
        listing, binding = self._pages.listing(
            request, call, fields=_FIELDS, columns={}, orders=_ORDERS, default="name"
        )
        where = listing.where
        # Lists inside a region and names are compared here: regions are few.
        bare = type(listing)(listing.limit, listing.order, listing.descending, listing.after)
        found, last = self._regions.list(bare, lambda one: all(_has(one, c) for c in where))
        return pb.ListRegionsResponse(
            regions=[_shown(one, call) for one in found],
            next_page_token=self._pages.token(last, binding),
        )

    def UpdateRegion(self, request: pb.UpdateRegionRequest, call: Call) -> bytes:
        return self._regions.update(
            location_key(_id(call)),
            region_draft(request.region),
            tuple(request.update_mask.paths),
            identified(request, call, _reply),
            etag=request.region.etag,
            violations=call.violations,
            replaced=tuple(request.replaced_slots),
            validate_only=request.validate_only,
        )

    def DeleteRegion(self, request: pb.DeleteRegionRequest, call: Call) -> bytes:
        call.violations.raise_if_any()
        again: Request[None] = identified(
            request, call, lambda _: serialized(Empty()), names=("name",)
        )
        return self._regions.delete(location_key(_id(call)), again, etag=request.etag)


def _id(call: Call) -> str:
    return call.scope.id if call.scope is not None else ""


def _reply(found: StoredRegion) -> bytes:
    return serialized(region_message(found.region, stored=found.stored))


def _shown(found: StoredRegion, call: Call) -> region_pb2.Region:
    allowed = call.access.allowed(READ_ACTION, ROOT)
    urls = not call.caller.is_workload
    return region_message(found.region, stored=found.stored, slots=allowed, urls=urls)


def _has(region: Region, comparison: Comparison) -> bool:
    values: dict[str, tuple[str, ...]] = {
        "name": (f"regions/{region.id}",),
        "display_name": (region.display_name,),
        "zones": region.zones,
        "capabilities": tuple(one.value for one in region.capabilities),
    }
    return compared(values[comparison.field], comparison)
