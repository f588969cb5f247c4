"""Sharing galleries (DESIGN section 4, "Sharing").

The catalog owns the mode and the texts, authz what is granted. A change is committed here as
pending first, so that new definitions and versions obey it; then authz takes the step; then the
answer is committed. A change that is left pending is finished by the next one, or by the workers
process: the step is repeated under its sequence number until authz has answered it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from services.catalog.domain import names, reasons, sharing
from services.catalog.domain.gallery import (
    CommunityTexts,
    Consumers,
    Gallery,
    PendingShare,
    ShareChange,
    ShareOperation,
    Sharing,
)
from services.catalog.ports.calls import Context, Subscriptions
from services.catalog.ports.policy import ShareAnswer, SharingAuthority
from services.catalog.ports.rows import Contents
from services.catalog.ports.transaction import Mutation, Transact, Tx
from services.catalog.usecases import checks, gallery_contents
from services.catalog.usecases.updates import admit
from services.kernel.clock import Clock
from services.kernel.errors import (
    Aborted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from services.kernel.names import Name, Pattern
from services.kernel.violations import Violations

_REFUSED = (InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted, Aborted)
# How often the changes of others are finished before a call gives up.
_TURNS = 5
_LISTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareGallery:
    """A step in the sharing of a gallery; consumers as they were sent."""

    name: Name
    operation: ShareOperation | None
    subscriptions: Sequence[str] = ()
    tenants: Sequence[str] = ()
    wait: bool = False
    simulation_digest: str = ""
    etag: str = ""
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """What came of a step: the gallery after it, what it shows and hides, the policy's answer.

    `locations` are the regions in which something of it can be used.
    """

    gallery: Gallery
    locations: Sequence[str]
    audience: sharing.Audience
    texts: CommunityTexts | None
    contents: Contents
    answer: ShareAnswer
    waited: bool


def share(
    command: ShareGallery,
    context: Context,
    mutation: Mutation[Shared],
    *,
    subscriptions: Subscriptions,
    transact: Transact,
    authority: SharingAuthority,
) -> bytes:
    """Take a step in the sharing of a gallery, all of it or nothing.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        NotFound: the gallery; CONSUMER_NOT_FOUND.
        ResourceExhausted: more consumers than a gallery may have.
        Aborted: ETAG_MISMATCH, SHARING_PENDING, OPERATION_IN_PROGRESS.
        Unavailable: authz does not answer; what is pending will be finished.
    """
    found = context.violations
    consumers = _parsed(command, found)
    if command.operation is None:
        found.raise_if_any()
        raise AssertionError("the contract demands an operation")
    change = ShareChange(command.operation, consumers)
    if command.operation in sharing.OPENING:
        checks.subscription(subscriptions, command.name.text, found)
    wanted = _Step(change, context, found, command)
    if command.validate_only:
        before, pending = transact(wanted.checked)
        answer = authority.apply(before, pending, dry=True)
        after = _agreed(before, pending, answer)
    else:
        before, pending = _begun(wanted, transact, authority, context.clock)
        answer = _applied(before, pending, transact, authority, wait=command.wait)
        after = _agreed(before, pending, answer)
        transact(lambda tx: _end(tx, before, pending, answer, clock=context.clock))
    seen = sharing.audience(before.sharing, after.sharing)

    def result(tx: Tx) -> Shared:
        shows = seen.opened or bool(seen.gaining)
        return Shared(
            after if command.validate_only else tx.galleries.get(before.key) or after,
            tx.galleries.view_locations(before.key),
            seen,
            sharing.texts_shown(before, seen),
            tx.galleries.contents(before.key, _LISTED) if shows else Contents(),
            answer,
            command.wait and not command.validate_only,
        )

    return mutation.commit(result)


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
    transact(lambda tx: _end(tx, gallery, pending, answer, clock=clock))


def retold(gallery: Gallery, context: Context) -> Gallery:
    """Answer a gallery of which the policy is to learn what is said anew: `allow_copy`.

    Its revision is that of the change: telling the policy is no change of a caller.
    """
    caller = context.caller
    return replace(
        gallery,
        pending=PendingShare(
            request_id=str(uuid4()),
            change=None,
            wanted=replace(gallery.sharing, sequence=gallery.sharing.sequence + 1),
            start_time=context.clock.now(),
            caller="" if caller.is_workload else caller.id,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """The first transaction of a change."""

    change: ShareChange
    context: Context
    violations: Violations
    command: ShareGallery

    def checked(self, tx: Tx) -> tuple[Gallery, PendingShare]:
        """Check a step and answer what it would be, without a trace of it."""
        gallery, pending = self._checked(tx)
        if gallery.pending is not None:
            raise _pending(gallery)
        return gallery, pending

    def begun(self, tx: Tx) -> tuple[Gallery, PendingShare | None]:
        """Begin a step; None for it where another one is in the way."""
        gallery, pending = self._checked(tx)
        if gallery.pending is not None:
            return gallery, None
        tx.galleries.update(replace(gallery, pending=pending))
        return gallery, pending

    def _checked(self, tx: Tx) -> tuple[Gallery, PendingShare]:
        found = self.violations.copy()
        gallery = tx.galleries.get(self.command.name.key, lock=True)
        if gallery is None:
            found.raise_if_any()
            raise NotFound.of(names.GALLERY_TYPE, self.command.name.text)
        if gallery.pending is None:
            sharing.check(gallery, self.change, found)
            if self.change.operation in sharing.OPENING:
                gallery_contents.check(tx, gallery, found)
        admit(tx, gallery, self.command.etag, found)
        caller = self.context.caller
        return gallery, PendingShare(
            # Not the caller's: a repeated call may come after this one was finished by others,
            # and is then another step.
            request_id=str(uuid4()),
            change=self.change,
            wanted=sharing.after(gallery.sharing, self.change),
            start_time=self.context.clock.now(),
            caller="" if caller.is_workload else caller.id,
            simulation_digest=self.command.simulation_digest,
        )


def _begun(
    step: _Step, transact: Transact, authority: SharingAuthority, clock: Clock
) -> tuple[Gallery, PendingShare]:
    for _ in range(_TURNS):
        gallery, pending = transact(step.begun)
        if pending is not None:
            return gallery, pending
        finish(gallery, transact, authority, clock)
    raise _pending(gallery)


def _applied(
    gallery: Gallery,
    pending: PendingShare,
    transact: Transact,
    authority: SharingAuthority,
    *,
    wait: bool,
) -> ShareAnswer:
    try:
        return authority.apply(gallery, pending, wait=wait)
    except _REFUSED:
        transact(lambda tx: _take_back(tx, gallery, pending))
        raise


def _agreed(gallery: Gallery, pending: PendingShare, answer: ShareAnswer) -> Gallery:
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


def _end(
    tx: Tx, before: Gallery, pending: PendingShare, answer: ShareAnswer, *, clock: Clock
) -> None:
    gallery = _still_pending(tx, before, pending)
    if gallery is None:
        return
    agreed = _agreed(gallery, pending, answer)
    if pending.change is not None:
        agreed = replace(agreed, revision=gallery.revision + 1, update_time=clock.now())
    tx.galleries.update(agreed)


def _take_back(tx: Tx, before: Gallery, pending: PendingShare, *, failure: str = "") -> None:
    gallery = _still_pending(tx, before, pending)
    if gallery is not None:
        # The number is spent: a later step must be told from a late repetition of this one.
        left = replace(
            gallery.sharing,
            sequence=pending.wanted.sequence,
            failure=failure or gallery.sharing.failure,
        )
        tx.galleries.update(replace(gallery, sharing=left, pending=None))


def _still_pending(tx: Tx, before: Gallery, pending: PendingShare) -> Gallery | None:
    """Answer the gallery, locked, unless somebody else has finished the change."""
    gallery = tx.galleries.get(before.key, lock=True)
    if gallery is None or gallery.uid != before.uid or gallery.pending is None:
        return None
    return gallery if gallery.pending.request_id == pending.request_id else None


def _pending(gallery: Gallery) -> Aborted:
    return Aborted(
        f"another change of the sharing of {gallery.name} is not finished; try again",
        reason=reasons.SHARING_PENDING,
        metadata={"resource": gallery.name},
    )


def _parsed(command: ShareGallery, violations: Violations) -> Consumers:
    return Consumers(
        _names(command.subscriptions, names.SUBSCRIPTIONS, "groups.subscriptions", violations),
        _names(command.tenants, names.TENANTS, "groups.tenants", violations),
    )


def _names(
    texts: Sequence[str], pattern: Pattern, field: str, violations: Violations
) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for index, text in enumerate(texts):
        with violations.collect():
            name = pattern.parse(text, field=f"{field}[{index}]")
            found.setdefault(name.key, name.text)
    return tuple(found[one] for one in sorted(found))
