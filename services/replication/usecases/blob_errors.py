"""What callers of blobs are told."""

from collections.abc import Sequence

from services.kernel.errors import (
    Aborted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PreconditionViolation,
    QuotaViolation,
    ResourceExhausted,
    StoaError,
    Unavailable,
    class_of,
)
from services.replication.domain.blobs import Blob
from services.replication.domain.failures import CopyFailed, meaning_of
from services.replication.domain.names import BLOB_TYPE


def not_found(name: str) -> NotFound:
    """Build the error for a blob that does not exist."""
    return NotFound.of(BLOB_TYPE, name)


def held(blob: Blob, sources: Sequence[str]) -> FailedPrecondition:
    """Build the error for a blob that sources hold."""
    message = f"{blob.name} is held by {', '.join(sources)}"
    return _precondition("BLOB_HELD", blob.name, message, sources=",".join(sources))


def not_committed(blob: Blob) -> FailedPrecondition:
    """Build the error for a blob whose upload is not committed."""
    return _precondition(
        "BLOB_NOT_COMMITTED",
        blob.name,
        f"the upload of {blob.name} is not committed",
        committed_bytes=str(blob.committed_bytes),
    )


def committed(blob: Blob) -> FailedPrecondition:
    """Build the error for a blob that takes no more bytes."""
    return _precondition(
        "BLOB_COMMITTED",
        blob.name,
        f"{blob.name} is committed and takes no more bytes",
        size_bytes=str(blob.size_bytes),
    )


def replaced(blob: Blob) -> FailedPrecondition:
    """Build the error for a name that belongs to another blob now."""
    return _precondition(
        "BLOB_REPLACED", blob.name, f"{blob.name} is another blob now", uid=blob.uid
    )


def size_mismatch(blob: Blob, durable: int, size: int) -> FailedPrecondition:
    """Build the error for a size that is not what was uploaded or declared."""
    return _precondition(
        "UPLOAD_SIZE_MISMATCH",
        blob.name,
        f"{blob.name} does not have {size} bytes",
        committed_bytes=str(durable),
        size_bytes=str(size),
    )


def content_mismatch(blob: Blob, digest: bytes) -> FailedPrecondition:
    """Build the error for a whole that has another digest than its client expects."""
    return _precondition(
        "CONTENT_DIGEST_MISMATCH",
        blob.name,
        f"the bytes of {blob.name} have another digest; delete the blob and upload again",
        digest=digest.hex(),
    )


def taken_over(blob: Blob, durable: int) -> Aborted:
    """Build the error for a stream that another one has followed."""
    return Aborted(
        f"a later stream writes to {blob.name} now",
        reason="UPLOAD_TAKEN_OVER",
        metadata={"resource": blob.name, "committed_bytes": str(durable)},
    )


def offset_mismatch(blob: Blob, durable: int) -> Aborted:
    """Build the error for a stream that begins elsewhere than at the durable offset."""
    return Aborted(
        f"the upload of {blob.name} goes on at byte {durable}",
        reason="UPLOAD_OFFSET_MISMATCH",
        metadata={"resource": blob.name, "committed_bytes": str(durable)},
    )


def sequence_invalid(offset: int, problem: str) -> InvalidArgument:
    """Build the error for messages in an order that has no meaning."""
    return InvalidArgument(
        problem,
        reason="UPLOAD_SEQUENCE_INVALID",
        metadata={"offset_bytes": str(offset)},
    )


def chunk_mismatch(offset: int, durable: int) -> InvalidArgument:
    """Build the error for a piece that arrived with other bytes than it was sent with."""
    return InvalidArgument(
        f"the piece at byte {offset} does not have the digest that was sent with it",
        reason="CHUNK_DIGEST_MISMATCH",
        metadata={"offset_bytes": str(offset), "committed_bytes": str(durable)},
    )


def no_slot(location: str, *, full: bool, needed: int) -> StoaError:
    """Build the error for a region of which no store takes a blob."""
    if full:
        return ResourceExhausted(
            f"no store of {location} has room",
            reason="STORE_FULL",
            metadata={"location": location, "needed_bytes": str(needed)},
        )
    return Unavailable(
        f"no store of {location} answers",
        reason="STORE_UNAVAILABLE",
        metadata={"location": location},
    )


def no_room(error: CopyFailed, location: str) -> ResourceExhausted:
    """Build the error for a region whose limit leaves no room."""
    return ResourceExhausted(
        str(error),
        reason=error.meaning.reason,
        metadata=error.metadata,
        quota=(QuotaViolation(f"regions/{location}", str(error)),),
    )


def of_store(error: Exception, location: str, slot: str) -> StoaError:
    """Build the error of a call for a failure of its store."""
    meaning = meaning_of(error)
    cls = class_of(meaning.code)
    if cls is StoaError:
        # A store that returns other bytes than were written is not a fault of the caller.
        cls = Unavailable
    return cls(
        f"the store {slot} of {location} failed: {error}",
        reason=meaning.reason,
        metadata={"location": location, "slot": slot},
    )


def _precondition(reason: str, name: str, message: str, **metadata: str) -> FailedPrecondition:
    return FailedPrecondition(
        message,
        reason=reason,
        metadata={"resource": name, **metadata},
        precondition=(PreconditionViolation(reason, name, message),),
    )
