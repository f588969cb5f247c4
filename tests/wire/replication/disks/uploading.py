"""Messages of uploads, and what refusals say."""

from collections.abc import Iterable, Iterator
from typing import Any

import blake3
import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from stoa.replication.v1 import blob_upload_pb2 as pb

MIB = 1 << 20


def start(name: str, offset: int = 0, uid: str = "") -> pb.UploadBlobRequest:
    return pb.UploadBlobRequest(start=pb.UploadStart(name=name, offset_bytes=offset, blob_uid=uid))


def chunk(offset: int, data: bytes) -> pb.UploadBlobRequest:
    digest = blake3.blake3(data).digest()
    return pb.UploadBlobRequest(
        chunk=pb.UploadChunk(offset_bytes=offset, data=data, blake3_digest=digest)
    )


def zeros(offset: int, length: int) -> pb.UploadBlobRequest:
    return pb.UploadBlobRequest(chunk=pb.UploadChunk(offset_bytes=offset, zero_bytes=length))


def commit(size: int, **digest: bytes) -> pb.UploadBlobRequest:
    return pb.UploadBlobRequest(commit=pb.UploadCommit(size_bytes=size, **digest))


def chunks(data: bytes, offset: int = 0) -> Iterator[pb.UploadBlobRequest]:
    """The pieces of `data` from `offset` on."""
    for at in range(offset, len(data), MIB):
        yield chunk(at, data[at : at + MIB])


def whole(
    name: str, data: bytes, offset: int = 0, **digest: bytes
) -> Iterator[pb.UploadBlobRequest]:
    yield start(name, offset)
    yield from chunks(data, offset)
    yield commit(len(data), **digest)


def messages(*parts: pb.UploadBlobRequest | Iterable[pb.UploadBlobRequest]):
    for part in parts:
        if isinstance(part, pb.UploadBlobRequest):
            yield part
        else:
            yield from part


def info_of(error: Any) -> error_details_pb2.ErrorInfo:
    status: Any = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        detail.Unpack(info)
    return info


def refusal(call, *args) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo]:
    """The code and the ErrorInfo of a call that must fail."""
    try:
        found = call(*args)
        if hasattr(found, "__next__"):
            for _ in found:
                pass
    except grpc.RpcError as error:
        info = info_of(error)
        assert info.domain == "replication.stoa.dev"
        return error.code(), info
    raise AssertionError("the call was not refused")
