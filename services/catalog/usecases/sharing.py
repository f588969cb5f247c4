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
)
from services.catalog.ports.calls import Context, Subscriptions
from services.catalog.ports.policy import ShareAnswer, SharingAuthority
from services.catalog.ports.rows import Contents
from services.catalog.ports.transaction import Mutation, Transact, Tx
from services.catalog.usecases import checks, gallery_contents
from services.catalog.usecases.pending_sharing import agreed_on, apply, end, finish
from services.catalog.usecases.updates import admit
from services.kernel.clock import Clock
from services.kernel.errors import Aborted, NotFound
from services.kernel.names import Name, Pattern
from services.kernel.violations import Violations

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
        after = agreed_on(before, pending, answer)
    else:
        before, pending = _begun(wanted, transact, authority, context.clock)
        answer = apply(before, pending, transact, authority, wait=command.wait)
        after = agreed_on(before, pending, answer)
        transact(lambda tx: end(tx, before, pending, answer, clock=context.clock))
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
            raise _not_finished(gallery)
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
        return gallery, PendingShare(
            # Not the caller's: a repeated call may come after this one was finished by others,
            # and is then another step.
            request_id=str(uuid4()),
            change=self.change,
            wanted=sharing.after(gallery.sharing, self.change),
            start_time=self.context.clock.now(),
            caller=self.context.principal,
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
    raise _not_finished(gallery)


def _not_finished(gallery: Gallery) -> Aborted:
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
