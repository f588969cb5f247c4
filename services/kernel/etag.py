"""Etags: a quoted string made from the revision of a row (AIP-154)."""

from typing import Final

from services.kernel.errors import Aborted

ETAG_MISMATCH: Final = "ETAG_MISMATCH"


def etag_of(revision: int, uid: str = "") -> str:
    """Make the etag of a row at a revision.

    With the `uid`, the etag of a deleted resource never fits the one that was created
    anew under its name, whose revisions begin again.
    """
    return f'"{uid[:12]}-{revision}"' if uid else f'"{revision}"'


def require_match(sent: str, revision: int, *, uid: str = "", resource: str = "") -> None:
    """Check the etag of a request; none, or `*`, fits every revision.

    The UPDATE that follows must carry the revision in its WHERE clause all the same:
    this check and that statement are two moments.

    Raises:
        Aborted: ETAG_MISMATCH, the row has changed since the caller read it.
    """
    current = etag_of(revision, uid)
    if sent not in {"", "*", current}:
        raise mismatch(current, resource=resource)


def mismatch(current: str, *, resource: str = "") -> Aborted:
    """Build the error for an etag that is not `current`."""
    return Aborted(
        "the resource has changed since it was read",
        reason=ETAG_MISMATCH,
        metadata={"resource": resource, "etag": current},
    )
