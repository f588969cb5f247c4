"""Blobs as messages."""

from stoa.replication.v1 import blob_pb2 as pb

from services.kernel.etag import etag_of
from services.replication.convert.common import FORMAT, number, timestamp
from services.replication.domain.blobs import HeldBlob

_STATE = pb.Blob.State


def blob_message(found: HeldBlob) -> pb.Blob:
    """Answer a blob."""
    blob = found.blob
    message = pb.Blob(
        name=blob.name,
        location=blob.location,
        format=number(FORMAT, blob.format),
        state=number(_STATE, blob.state),
        committed_bytes=blob.committed_bytes,
        zero_bytes=blob.zero_bytes,
        stored_bytes=blob.stored_bytes,
        root_digest=bytes.fromhex(blob.root),
        holding_sources=found.sources,
        expire_time=timestamp(blob.expire_time),
        tags=blob.tags,
        create_time=timestamp(blob.create_time),
        update_time=timestamp(blob.update_time),
        commit_time=timestamp(blob.commit_time),
        uid=blob.uid,
        etag=etag_of(blob.revision, blob.uid),
    )
    if blob.size_bytes is not None:
        message.size_bytes = blob.size_bytes
    return message
