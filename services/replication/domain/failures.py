"""What a failure of the data plane means: its cause in words of the contract, and what follows.

Classes of replication.md 2.10: what is outside (room, a store that is away) is waited for and
uses up no attempt; errors of a medium do; what no repetition mends ends the replica.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.kernel.errors import Code, Unavailable
from services.replication.content import errors
from services.replication.domain.progress import Cause


class Remedy(enum.Enum):
    """What to do about a failure."""

    WAIT = "wait"
    TRY_AGAIN = "try again"
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True)
class Meaning:
    """The reason and code of the contract, and the remedy."""

    reason: str
    code: Code
    remedy: Remedy


_MEANINGS: Final[Mapping[type[Exception], Meaning]] = {
    Unavailable: Meaning("DEPENDENCY_UNAVAILABLE", Code.UNAVAILABLE, Remedy.WAIT),
    errors.StoreFull: Meaning("STORE_FULL", Code.RESOURCE_EXHAUSTED, Remedy.WAIT),
    errors.StoreUnavailable: Meaning("STORE_UNAVAILABLE", Code.UNAVAILABLE, Remedy.WAIT),
    errors.StoreBusy: Meaning("STORE_UNAVAILABLE", Code.UNAVAILABLE, Remedy.WAIT),
    errors.StoreIoError: Meaning("STORE_IO_ERROR", Code.UNAVAILABLE, Remedy.TRY_AGAIN),
    errors.RefConflict: Meaning("STORE_UNAVAILABLE", Code.UNAVAILABLE, Remedy.TRY_AGAIN),
    errors.StaleGeneration: Meaning("REPLICA_MISMATCH", Code.FAILED_PRECONDITION, Remedy.GIVE_UP),
    errors.StoreAccessDenied: Meaning(
        "STORE_ACCESS_DENIED", Code.FAILED_PRECONDITION, Remedy.GIVE_UP
    ),
    errors.ReplicaMismatch: Meaning("REPLICA_MISMATCH", Code.FAILED_PRECONDITION, Remedy.GIVE_UP),
    errors.UnsupportedStore: Meaning("STORE_UNSUPPORTED", Code.FAILED_PRECONDITION, Remedy.GIVE_UP),
    errors.SourceUnavailable: Meaning("SOURCE_UNAVAILABLE", Code.UNAVAILABLE, Remedy.TRY_AGAIN),
    errors.SourceMissing: Meaning("SOURCE_NOT_FOUND", Code.NOT_FOUND, Remedy.GIVE_UP),
    errors.SourceFormatInvalid: Meaning(
        "SOURCE_FORMAT_INVALID", Code.FAILED_PRECONDITION, Remedy.GIVE_UP
    ),
    errors.SourceReferenceRefused: Meaning(
        "SOURCE_REFERENCE_REFUSED", Code.FAILED_PRECONDITION, Remedy.GIVE_UP
    ),
    errors.SourceChanged: Meaning("SOURCE_CHANGED", Code.FAILED_PRECONDITION, Remedy.GIVE_UP),
    errors.ObjectMissing: Meaning("DIGEST_MISMATCH", Code.DATA_LOSS, Remedy.TRY_AGAIN),
    errors.ObjectCorrupt: Meaning("DIGEST_MISMATCH", Code.DATA_LOSS, Remedy.TRY_AGAIN),
    errors.InvalidEncoding: Meaning("DIGEST_MISMATCH", Code.DATA_LOSS, Remedy.TRY_AGAIN),
}
# A reason that a repetition, with nothing else changed, cannot mend.
_FINAL: Final = frozenset(
    {
        "STORE_ACCESS_DENIED",
        "REPLICA_MISMATCH",
        "STORE_UNSUPPORTED",
        "SOURCE_CHANGED",
        "SOURCE_NOT_FOUND",
        "SOURCE_FORMAT_INVALID",
        "SOURCE_REFERENCE_REFUSED",
        "AUTHORIZATION_REVOKED",
        "REGION_UNSUITABLE",
        "REPLICA_CAPACITY",
    }
)


class CopyFailed(Exception):
    """A copy cannot go on, for a reason that is not an error of bytes."""

    def __init__(
        self,
        reason: str,
        code: Code,
        message: str,
        *,
        remedy: Remedy = Remedy.GIVE_UP,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.meaning: Final = Meaning(reason, code, remedy)
        self.metadata: Final = dict(metadata or {})


def meaning_of(error: Exception) -> Meaning:
    """Answer what an error means; one that nobody expected is tried again."""
    if isinstance(error, CopyFailed):
        return error.meaning
    for cls in type(error).__mro__:
        if cls in _MEANINGS:
            return _MEANINGS[cls]
    return Meaning("STORE_IO_ERROR", Code.UNAVAILABLE, Remedy.TRY_AGAIN)


def cause_of(error: Exception, now: datetime, **metadata: str) -> Cause:
    """Answer the cause that is recorded for an error."""
    meaning = meaning_of(error)
    known = error.metadata if isinstance(error, CopyFailed) else {}
    return make_cause(meaning.reason, meaning.code, str(error), now, **{**metadata, **known})


def make_cause(
    reason: str,
    code: Code,
    message: str,
    now: datetime,
    **metadata: str,
) -> Cause:
    """Build a cause; whether a retry can help follows from the reason."""
    return Cause(int(code), reason, message, reason not in _FINAL, now, metadata)
