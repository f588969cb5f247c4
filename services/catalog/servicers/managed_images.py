"""`ManagedImageService`."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from stoa.catalog.v1 import managed_image_pb2
from stoa.catalog.v1 import managed_image_service_pb2 as pb

from services.catalog.convert import hardware
from services.catalog.convert import managed_images as convert
from services.catalog.convert.common import PROVISIONING_STATES
from services.catalog.domain import names
from services.catalog.domain.hardware import (
    Architecture,
    HyperVGeneration,
    MachineSecurityType,
    OsState,
    OsType,
)
from services.catalog.domain.resource import ProvisioningState
from services.catalog.servicers import mutations, reading
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.resource_groups import COMMON_FIELDS, COMMON_ORDERS
from services.catalog.usecases import managed_images, source_holds
from services.catalog.usecases.deletes import Delete
from services.kernel.errors import DeadlineExceeded, Unavailable, Unimplemented
from services.kernel.filter import Kind
from services.kernel.rpc.call import Call

_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    **COMMON_FIELDS,
    "os_type": frozenset(one.name for one in OsType),
    "os_state": frozenset(one.name for one in OsState),
    "hyper_v_generation": frozenset(one.name for one in HyperVGeneration),
    "architecture": frozenset(one.name for one in Architecture),
}
_CREATING: Final = PROVISIONING_STATES.number(ProvisioningState.CREATING)
_EMPTY: Final = b""


class ManagedImageServicer:
    """Managed images."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies
        self._listing: Final = reading.Listing(
            names.MANAGED_IMAGE_TYPE,
            "Microsoft.Compute/images/read",
            _FIELDS,
            COMMON_ORDERS,
            _response,
            lambda parent: dependencies.readers.groups.exists(parent.key),
            names.RESOURCE_GROUP_TYPE,
        )

    def CreateManagedImage(self, request: pb.CreateManagedImageRequest, call: Call) -> bytes:
        command = _command(request, call)
        reply = mutations.mutate(
            self._d,
            call,
            request,
            encode=mutations.serialized(convert.encode),
            names=("parent",),
            use=lambda context, mutation: managed_images.create(
                command,
                context,
                mutation,
                subscriptions=self._d.subscriptions,
                regions=self._d.regions,
                sources=self._d.sources,
            ),
        )
        return self._held(reply)

    def GetManagedImage(self, request: pb.GetManagedImageRequest, call: Call) -> bytes:
        return reading.get(self._d, call, self._d.readers.managed_images, names.MANAGED_IMAGE_TYPE)

    def ListManagedImages(self, request: pb.ListManagedImagesRequest, call: Call) -> Any:
        return reading.page(
            self._d, call, self._d.readers.managed_images, request, listing=self._listing
        )

    def DeleteManagedImage(self, request: pb.DeleteManagedImageRequest, call: Call) -> bytes:
        name = mutations.scope_of(call)
        mutations.mutate(
            self._d,
            call,
            request,
            encode=_nothing,
            names=("name",),
            use=lambda context, mutation: managed_images.delete(
                Delete(name, request.etag), context, mutation
            ),
        )
        # The outbox would do the same a moment later; but an answer says that the name is free.
        going = source_holds.deleting(name.key, self._d.transact)
        if going is not None:
            source_holds.finish_delete(going, self._d.transact, self._d.scopes)
        return _EMPTY

    def _held(self, reply: bytes) -> bytes:
        """Answer an image once its blobs are held, or as it is while nobody answers."""
        image = managed_image_pb2.ManagedImage.FromString(reply)
        if image.provisioning_state != _CREATING:
            return reply
        try:
            held = source_holds.hold_now(
                image.name, image.uid, transact=self._d.transact, holds=self._d.holds
            )
        except (Unavailable, DeadlineExceeded):
            return reply
        return reply if held is None else convert.encode(held).SerializeToString()


def _nothing(_: object) -> bytes:
    return _EMPTY


def _command(
    request: pb.CreateManagedImageRequest, call: Call
) -> managed_images.CreateManagedImage:
    sent = request.managed_image
    source = sent.WhichOneof("source")
    if source not in {None, "blobs"}:
        raise Unimplemented(f"managed images of {source} are not built yet: upload blobs")
    if sent.disk_encryption_set:
        raise Unimplemented("disk encryption sets are not built yet")
    return managed_images.CreateManagedImage(
        parent=mutations.scope_of(call),
        id=request.managed_image_id,
        location=sent.location,
        disks=convert.decode_blobs(sent.blobs, "managed_image.blobs") if source else (),
        os_type=hardware.OS_TYPES.member(sent.os_type),
        os_state=hardware.OS_STATES.member(sent.os_state),
        hyper_v_generation=hardware.GENERATIONS.member(sent.hyper_v_generation)
        or HyperVGeneration.V1,
        architecture=hardware.ARCHITECTURES.member(sent.architecture) or Architecture.X64,
        security_type=hardware.MACHINE_SECURITY.member(sent.security_type)
        or MachineSecurityType.STANDARD,
        carries_vm_guest_state=sent.carries_vm_guest_state,
        accelerated_networking=sent.accelerated_networking_supported
        if sent.HasField("accelerated_networking_supported")
        else None,
        disk_controllers=tuple(
            found
            for one in sent.disk_controller_types
            if (found := hardware.CONTROLLERS.member(one)) is not None
        ),
        purchase_plan=hardware.decode_plan(sent.purchase_plan)
        if sent.HasField("purchase_plan")
        else None,
        tags=dict(sent.tags),
    )


def _response(rows: Any, token: str) -> pb.ListManagedImagesResponse:
    response = pb.ListManagedImagesResponse(next_page_token=token)
    for row in rows:
        response.managed_images.add().ParseFromString(row.body)
    return response
