"""Changes of sharing that are pending: what ends them, and what takes them back."""

from dataclasses import replace
from uuid import uuid4

from services.catalog.domain.gallery import Gallery, PendingShare, Sharing
from services.catalog.ports.calls import Context
from services.catalog.ports.policy import ShareAnswer, SharingAuthority
from services.catalog.ports.transaction import Transact, Tx
from services.kernel.clock import Clock
from services.kernel.errors import (
    Aborted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)

_REFUSED = (InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted, Aborted)


def apply(
    gallery: Gallery,
    pending: PendingShare,
    transact: Transact,
    authority: SharingAuthority,
    *,
    wait: bool,
) -> ShareAnswer:
    """Let authz take the step that was begun, and take it back where authz refuses it."""
    try:
        return authority.apply(gallery, pending, wait=wait)
    except _REFUSED:
        transact(lambda tx: _take_back(tx, gallery, pending))
        raise


def finish(gallery: Gallery, transact: Transact, authority: SharingAuthority, clock: Clock) -> None:
    """Finish the change that a gallery has pending, or take it back where it is refused.

    Raises:
        Unavailable, DeadlineExceeded: authz does not answer.
    """
    pending = gallery.pending
    if pending is None:
        return
    try:
        answer = authority.apply(gallery, pending)
    except _REFUSED as refusal:
        # Whoever wanted it is not there any more: the gallery tells.
        failure = refusal.message
        transact(lambda tx: _take_back(tx, gallery, pending, failure=failure))
        return
    transact(lambda tx: end(tx, gallery, pending, answer, clock=clock))


def retold(gallery: Gallery, context: Context) -> Gallery:
    """Answer a gallery of which the policy is to learn what is said anew: `allow_copy`.

    Its revision is that of the change: telling the policy is no change of a caller.
    """
    return replace(
        gallery,
        pending=PendingShare(
            request_id=str(uuid4()),
            change=None,
            wanted=replace(gallery.sharing, sequence=gallery.sharing.sequence + 1),
            start_time=context.clock.now(),
            caller=context.principal,
        ),
    )


def agreed_on(gallery: Gallery, pending: PendingShare, answer: ShareAnswer) -> Gallery:
    """Answer the gallery with what the policy has now."""
    agreed: Sharing = replace(
        pending.wanted,
        groups=answer.groups,
        blocked=answer.blocked,
        community_enabled=answer.community_enabled,
        policy_revision=answer.revision,
        consistency_token=answer.consistency_token,
        failure="",
    )
    return replace(gallery, sharing=agreed, pending=None)


def end(
    tx: Tx, before: Gallery, pending: PendingShare, answer: ShareAnswer, *, clock: Clock
) -> None:
    """Write what the policy answered, unless somebody else has finished the change."""
    gallery = _in_question(tx, before, pending)
    if gallery is None:
        return
    agreed = agreed_on(gallery, pending, answer)
    if pending.change is not None:
        agreed = replace(agreed, revision=gallery.revision + 1, update_time=clock.now())
    tx.galleries.update(agreed)


def _take_back(tx: Tx, before: Gallery, pending: PendingShare, *, failure: str = "") -> None:
    gallery = _in_question(tx, before, pending)
    if gallery is not None:
        # The number is spent: a later step must be told from a late repetition of this one.
        left = replace(
            gallery.sharing,
            sequence=pending.wanted.sequence,
            failure=failure or gallery.sharing.failure,
        )
        tx.galleries.update(replace(gallery, sharing=left, pending=None))


def _in_question(tx: Tx, before: Gallery, pending: PendingShare) -> Gallery | None:
    """Answer the gallery, locked; None where somebody else has finished the change."""
    gallery = tx.galleries.get(before.key, lock=True)
    if gallery is None or gallery.uid != before.uid or gallery.pending is None:
        return None
    return gallery if gallery.pending.request_id == pending.request_id else None
