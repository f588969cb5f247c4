"""Holds on blobs, recorded by the replication service."""

from typing import Final

import grpc
from stoa.replication.v1 import blob_service_pb2 as pb
from stoa.replication.v1 import blob_service_pb2_grpc

from services.catalog.domain.disk_source import ByteSource
from services.kernel.errors import Code
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.remote import RemoteStatus, translated

SERVICE: Final = "stoa.replication.v1.BlobService"
_REFUSED: Final = frozenset({Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.ABORTED})


class ReplicationBlobHolds:
    """Fulfils the port `BlobHolds`."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub: Final = blob_service_pb2_grpc.BlobServiceStub(channel)

    def hold(self, blob: ByteSource, source_uid: str, source: str) -> bool:
        """Keep a blob for a source; False where it is gone, replaced or unfinished."""
        request = pb.HoldBlobRequest(
            name=blob.name, blob_uid=blob.uid, source_uid=source_uid, source=source
        )
        try:
            self._stub.HoldBlob(request)
        except grpc.RpcError as error:
            status = RemoteStatus.of(error)
            if status.code in _REFUSED:
                return False
            raise translated(error, "replication") from error
        return True

    def release(self, blob: ByteSource, source_uid: str) -> None:
        """Forget that a source needs a blob."""
        request = pb.ReleaseBlobRequest(name=blob.name, blob_uid=blob.uid, source_uid=source_uid)
        try:
            self._stub.ReleaseBlob(request)
        except grpc.RpcError as error:
            raise translated(error, "replication") from error
