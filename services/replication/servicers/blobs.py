"""BlobService but for the stream of bytes."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from stoa.replication.v1 import blob_pb2, blob_upload_pb2
from stoa.replication.v1 import blob_service_pb2 as pb

from services.kernel.errors import Unavailable
from services.kernel.filter import Kind
from services.kernel.names import WILDCARD, Name
from services.kernel.rpc.call import Call
from services.replication.content.progress import CopyOptions
from services.replication.convert.blobs import blob_message
from services.replication.convert.common import FORMAT, word
from services.replication.domain.blobs import BlobState, HeldBlob
from services.replication.domain.names import BLOBS, subscription_of
from services.replication.domain.states import DiskFormat
from services.replication.ports.blobs import BlobPage, BlobScope
from services.replication.ports.requests import Request
from services.replication.servicers.blob_streams import UploadStreams
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.requests import Pages, identified, serialized
from services.replication.usecases.blob_uploads import BlobUploads
from services.replication.usecases.blobs import Blobs, NewBlob

SERVICE: Final = "stoa.replication.v1.BlobService"
_READ: Final = "Microsoft.Compute/disks/read"
_FIELDS: Final[Mapping[str, Kind | Collection[str]]] = {
    "location": Kind.STRING,
    "format": frozenset(one.value for one in DiskFormat),
    "state": frozenset(one.value for one in BlobState),
    "size_bytes": Kind.INTEGER,
    "create_time": Kind.TIME,
    "tags": Kind.MAP,
}
_ORDERS: Final = {"name": ("name_key",), "create_time": ("create_time", "name_key")}


class BlobServicer:
    """Creating, filling and finding blobs; holding them for their sources."""

    def __init__(self, parts: Dependencies) -> None:
        config = parts.config
        options = CopyOptions(
            window_bytes=config.copy_window_bytes, window_seconds=config.copy_window_seconds
        )
        self._blobs: Final = Blobs(parts.rows, parts.stores)
        self._streams: Final = UploadStreams(
            BlobUploads(parts.rows, parts.stores, options), idle=config.upload_idle_seconds
        )
        self._pages: Final = Pages(parts.page_tokens)
        self._control: Final = parts.control

    def CreateBlob(self, request: pb.CreateBlobRequest, call: Call) -> bytes:
        parent = _scope(call)
        sent = request.blob
        if call.violations.has_field("blob.format"):
            # Nothing can be made of it; what else is wrong is found without a store.
            call.violations.raise_if_any()
        new = NewBlob(
            parent=parent,
            id=request.blob_id,
            tenant=self._tenant(parent),
            location=sent.location,
            format=DiskFormat(word(FORMAT, sent.format or FORMAT.DISK_FORMAT_RAW)),
            size_bytes=sent.size_bytes if sent.HasField("size_bytes") else None,
            tags=dict(sent.tags),
        )
        return self._blobs.create(
            new,
            identified(request, call, _reply, names=("parent",)),
            call.violations,
            validate_only=request.validate_only,
        )

    async def UploadBlob(
        self, requests: AsyncIterator[blob_upload_pb2.UploadBlobRequest], call: Call
    ) -> blob_upload_pb2.UploadBlobResponse:
        found = await self._streams.serve(requests, call)
        message = blob_message(found)
        return blob_upload_pb2.UploadBlobResponse(
            blob=message, committed_bytes=message.committed_bytes
        )

    def GetBlob(self, request: pb.GetBlobRequest, call: Call) -> blob_pb2.Blob:
        call.violations.raise_if_any()
        return blob_message(self._blobs.get(_scope(call)))

    def ListBlobs(self, request: pb.ListBlobsRequest, call: Call) -> pb.ListBlobsResponse:
        parent = _scope(call)
        if parent.ids["subscription"] == WILDCARD:
            call.violations.add("parent", "names a subscription; '-' stands for its groups alone")
        listing, binding = self._pages.listing(
            request, call, fields=_FIELDS, columns={}, orders=_ORDERS, default="name"
        )
        page = BlobPage(
            scope=_blob_scope(parent, call),
            limit=listing.limit + 1,
            order=listing.order,
            descending=listing.descending,
            after=listing.after,
            where=listing.where,
        )
        found = self._blobs.list(page)
        shown = found[: listing.limit]
        last: list[Any] | None = None
        if len(found) > len(shown):
            last = [getattr(shown[-1].blob, column) for column in listing.order]
        return pb.ListBlobsResponse(
            blobs=map(blob_message, shown), next_page_token=self._pages.token(last, binding)
        )

    def DeleteBlob(self, request: pb.DeleteBlobRequest, call: Call) -> Empty:
        call.violations.raise_if_any()
        name = _scope(call)
        asked: Request[None] = identified(request, call, lambda _: b"", names=("name",))
        self._blobs.delete(name, request.etag, asked)
        self._streams.deleted(name)
        return Empty()

    def HoldBlob(self, request: pb.HoldBlobRequest, call: Call) -> blob_pb2.Blob:
        name = _parsed(request.name, call)
        return blob_message(
            self._blobs.hold(name, request.blob_uid, request.source_uid, request.source)
        )

    def ReleaseBlob(self, request: pb.ReleaseBlobRequest, call: Call) -> Empty:
        _parsed(request.name, call)
        self._blobs.release(request.blob_uid, request.source_uid)
        return Empty()

    def _tenant(self, parent: Name) -> str:
        subscription = self._control.index.directory.subscriptions.get(subscription_of(parent.key))
        if subscription is None:
            # It was decided by a policy that is newer than what this process holds.
            raise Unavailable(
                "the policy here does not know the subscription yet",
                metadata={"service": "authz"},
                retry_after=0.2,
            )
        return subscription.tenant.rpartition("/")[2]


def _scope(call: Call) -> Name:
    if call.scope is None:
        raise RuntimeError("the method has a scope")
    return call.scope


def _parsed(text: str, call: Call) -> Name:
    """Read the name of a call that has no scope, and raise all that is wrong with it."""
    name: Name | None = None
    with call.violations.collect():
        name = BLOBS.parse(text)
    call.violations.raise_if_any()
    if name is None:
        raise RuntimeError("a name that cannot be read is a violation")
    return name


def _reply(found: HeldBlob) -> bytes:
    return serialized(blob_message(found))


def _blob_scope(parent: Name, call: Call) -> BlobScope:
    if not parent.has_wildcard:
        return BlobScope(parent_key=parent.key)
    subscription = subscription_of(parent.key)
    access: Any = call.access
    found = access.accessible(_READ, subscription)
    return BlobScope(
        subscription_key=subscription,
        allowed=found.allowed,
        denied=found.denied,
        denied_here=found.denied_here,
    )
