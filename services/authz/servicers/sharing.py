"""SharingService, for the catalog."""

from typing import Final

from stoa.authz.v1 import sharing_service_pb2 as pb

from services.authz.convert import sharing as convert
from services.authz.convert.changes import grant_message
from services.authz.domain.names import GALLERY
from services.authz.ports.policy import Unit
from services.authz.servicers.writing import Context
from services.authz.usecases import sharing
from services.authz.usecases.digests import SimulationDigests
from services.authz.usecases.limits import Limits
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call


class SharingServicer:
    """Keeps what galleries are shared with."""

    def __init__(self, context: Context, limits: Limits, digests: SimulationDigests) -> None:
        self._context: Final = context
        self._limits: Final = limits
        self._digests: Final = digests

    def ApplySharing(self, request: pb.ApplySharingRequest, call: Call) -> pb.ApplySharingResponse:
        gallery = request.gallery
        with call.violations.collect():
            gallery = GALLERY.parse(request.gallery, field="gallery").text
        call.violations.raise_if_any()
        asked = convert.apply(request, gallery)

        def apply(unit: Unit, _: Access) -> pb.ApplySharingResponse:
            before = sharing.current(unit.facts, gallery, asked.gallery_uid)
            grant = sharing.apply(unit, asked, self._limits, call.violations, digests=self._digests)
            digest = ""
            if asked.dry and asked.step is not None:
                digest = self._digests.make(gallery, asked.step, before, now=unit.now)[0]
            return pb.ApplySharingResponse(grant=grant_message(grant), simulation_digest=digest)

        reply, position = self._context.write_once(
            call,
            request,
            apply,
            resource=gallery,
            principal=request.caller,
            validate_only=request.validate_only,
        )
        response = pb.ApplySharingResponse.FromString(reply)
        if request.validate_only:
            return response
        response.consistency_token = self._context.store.token(position)
        if request.wait_for_replicas:
            found = self._context.lagging_after(call, position)
            response.lagging_replicas.extend(map(convert.lagging, found))
        return response

    def GetSharing(self, request: pb.GetSharingRequest, call: Call) -> pb.GetSharingResponse:
        call.violations.raise_if_any()
        store = self._context.store
        grant = store.read(lambda facts: sharing.get(facts, request.gallery))
        position = store.position()
        held = type(position)(position.epoch, grant.revision)
        found = self._context.replicas.lagging(held)
        return pb.GetSharingResponse(
            grant=grant_message(grant), lagging_replicas=map(convert.lagging, found)
        )
