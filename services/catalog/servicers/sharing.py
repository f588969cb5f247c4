"""`ShareGallery` of `GalleryService`."""

from stoa.catalog.v1 import gallery_sharing_pb2 as pb

from services.catalog.convert import sharing as convert
from services.catalog.servicers import mutations
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.usecases import sharing
from services.kernel.rpc.call import Call


def share(dependencies: Dependencies, call: Call, request: pb.ShareGalleryRequest) -> bytes:
    """Answer what came of a step in the sharing of a gallery."""
    command = sharing.ShareGallery(
        name=mutations.scope_of(call),
        operation=convert.OPERATIONS.member(request.operation),
        subscriptions=request.groups.subscriptions,
        tenants=request.groups.tenants,
        wait=request.wait_for == pb.SHARING_WAIT_MODE_REPLICAS,
        simulation_digest=request.simulation_digest,
        etag=request.etag,
        validate_only=request.validate_only,
    )
    return mutations.mutate(
        dependencies,
        call,
        request,
        encode=mutations.serialized(convert.encode),
        names=("name",),
        use=lambda context, mutation: sharing.share(
            command,
            context,
            mutation,
            subscriptions=dependencies.subscriptions,
            transact=dependencies.transact,
            authority=dependencies.sharing,
        ),
    )
