"""What galleries are shared with, as the catalog tells it step by step (sharing_service.proto)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.authz.domain.names import SUBSCRIPTION, TENANT, subscription_of
from services.authz.domain.records import CommunitySharing, SharingGrant
from services.authz.domain.sharing_steps import MODES, NAMING, Operation, Step
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases.digests import SimulationDigests
from services.authz.usecases.finding import found, parent_not_found
from services.authz.usecases.limits import Limits, exhausted
from services.kernel.errors import Aborted, FailedPrecondition, NotFound
from services.kernel.names import key
from services.kernel.violations import Violations
from services.policy.model import SharingMode


@dataclass(frozen=True, slots=True)
class Apply:
    """A request of the catalog: its profile of the gallery whole, and at most one step.

    `content` is the digest of all of it but the request id, by which a retry is known;
    `simulation_digest` that of the step, where the user sent one. With `dry` nothing is kept, and
    the tenant demands no digest: this is where one comes from.
    """

    gallery: str
    gallery_uid: str
    sequence: int
    mode: SharingMode
    shared_id: str
    content: bytes
    public_name: str = ""
    allow_copy: bool = False
    step: Step | None = None
    simulation_digest: str = ""
    dry: bool = False


def apply(
    unit: Unit,
    asked: Apply,
    limits: Limits,
    violations: Violations,
    *,
    digests: SimulationDigests,
) -> SharingGrant:
    """Record a profile and take a step, all of it or nothing.

    Raises:
        InvalidArgument: a name cannot be read.
        NotFound: the gallery is gone, its subscription or a consumer is not there.
        Aborted: SHARING_SUPERSEDED.
        FailedPrecondition: the mode, or the tenant, does not allow the step; the digest is stale.
        ResourceExhausted: SHARING_LIMIT_EXCEEDED.
    """
    facts = unit.facts
    step = _read(asked.step, violations)
    violations.raise_if_any()
    if facts.tombstone(asked.gallery_uid) is not None:
        raise NotFound.of("stoa.dev/Gallery", asked.gallery)
    subscription = facts.subscription(subscription_of(asked.gallery) or "")
    if subscription is None:
        raise parent_not_found(asked.gallery)
    before = current(facts, asked.gallery, asked.gallery_uid)
    if before is not None and asked.sequence <= before.sequence:
        if asked.sequence == before.sequence and asked.content == before.content:
            return before
        raise Aborted(
            f"sequence {before.sequence} has been applied to {asked.gallery}",
            reason="SHARING_SUPERSEDED",
            metadata={"gallery": asked.gallery, "sequence": str(before.sequence)},
        )
    _refuse_change_of_mode(before, asked, step)
    start = before or SharingGrant(
        gallery=asked.gallery,
        gallery_uid=asked.gallery_uid,
        shared_id=asked.shared_id,
        sequence=asked.sequence,
        content=asked.content,
        update_time=unit.now,
    )
    after = replace(
        start,
        mode=asked.mode,
        shared_id=asked.shared_id,
        public_name=asked.public_name,
        allow_copy=asked.allow_copy,
        sequence=asked.sequence,
        content=asked.content,
        update_time=unit.now,
        revision=unit.revision,
    )
    if step is not None:
        tenant = facts.tenant(key(subscription.tenant))
        community = tenant.community_sharing if tenant is not None else CommunitySharing.FORBIDDEN
        _refuse_step(facts, asked, step)
        if step.operation is Operation.ENABLE_COMMUNITY:
            _refuse_community(community, subscription.tenant, asked)
        if asked.simulation_digest and not digests.is_good(
            asked.simulation_digest, asked.gallery, step, before, now=unit.now
        ):
            raise FailedPrecondition(
                "the digest is of another change, has lapsed, or the sharing has changed since",
                reason="SIMULATION_DIGEST_STALE",
                metadata={"gallery": asked.gallery},
            )
        after = _taken(after, step)
        _refuse_too_many(after, limits)
    unit.put(after)
    return after


def current(facts: Facts, gallery: str, uid: str) -> SharingGrant | None:
    """Answer what a gallery is shared with; a grant of another uid is of a gallery now gone."""
    found = facts.sharing_grant(key(gallery))
    return found if found is not None and found.gallery_uid == uid else None


def get(facts: Facts, gallery: str) -> SharingGrant:
    """Answer what a gallery is shared with.

    Raises:
        NotFound: it was never anything but private.
    """
    return found(facts.sharing_grant(key(gallery)), "Gallery", gallery)


def _read(step: Step | None, violations: Violations) -> Step | None:
    """Bring the names of a step into their stored spelling."""
    if step is None:
        return None
    subscriptions: list[str] = []
    tenants: list[str] = []
    for position, text in enumerate(step.subscriptions):
        with violations.collect():
            field = f"change.subscriptions[{position}]"
            subscriptions.append(SUBSCRIPTION.parse(text, field=field).text)
    for position, text in enumerate(step.tenants):
        with violations.collect():
            tenants.append(TENANT.parse(text, field=f"change.tenants[{position}]").text)
    return Step(step.operation, tuple(subscriptions), tuple(tenants))


def _refuse_change_of_mode(before: SharingGrant | None, asked: Apply, step: Step | None) -> None:
    if step is not None and step.operation is Operation.RESET:
        if asked.mode is not SharingMode.PRIVATE:
            raise _mismatch(asked, step.operation)
        return
    if before is not None and before.mode is not asked.mode and before.shares_anything:
        raise FailedPrecondition(
            "the mode changes only while nothing is shared",
            reason="SHARING_NOT_RESET",
            metadata={"gallery": asked.gallery, "mode": before.mode.value},
        )


def _refuse_step(facts: Facts, asked: Apply, step: Step) -> None:
    wanted = MODES.get(step.operation)
    if wanted is not None and asked.mode is not wanted:
        raise _mismatch(asked, step.operation)
    if step.operation in NAMING:
        missing = [one for one in step.subscriptions if facts.subscription(key(one)) is None]
        missing += [one for one in step.tenants if facts.tenant(key(one)) is None]
        if missing:
            raise NotFound(
                f"{', '.join(missing)}: there is nobody of this name to share with",
                reason="CONSUMER_NOT_FOUND",
                metadata={"consumer": ",".join(missing)},
            )


def _refuse_community(community: CommunitySharing, tenant: str, asked: Apply) -> None:
    if community is CommunitySharing.FORBIDDEN:
        raise FailedPrecondition(
            f"{tenant} does not let its galleries be opened to the community",
            reason="COMMUNITY_SHARING_FORBIDDEN",
            metadata={"tenant": tenant},
        )
    demanded = community is CommunitySharing.SIMULATION_REQUIRED and not asked.dry
    if demanded and not asked.simulation_digest:
        raise FailedPrecondition(
            f"{tenant} demands the digest of a SimulateChange",
            reason="SIMULATION_DIGEST_REQUIRED",
            metadata={"tenant": tenant},
        )


def _taken(grant: SharingGrant, step: Step) -> SharingGrant:
    match step.operation:
        case Operation.ADD:
            return replace(
                grant,
                subscriptions=_with(grant.subscriptions, step.subscriptions),
                tenants=_with(grant.tenants, step.tenants),
            )
        case Operation.REMOVE:
            return replace(
                grant,
                subscriptions=_without(grant.subscriptions, step.subscriptions),
                tenants=_without(grant.tenants, step.tenants),
            )
        case Operation.ENABLE_COMMUNITY:
            return replace(grant, community_enabled=True)
        case Operation.DISABLE_COMMUNITY:
            return replace(grant, community_enabled=False)
        case Operation.BLOCK_CONSUMER:
            return replace(
                grant,
                blocked_subscriptions=_with(grant.blocked_subscriptions, step.subscriptions),
                blocked_tenants=_with(grant.blocked_tenants, step.tenants),
            )
        case Operation.UNBLOCK_CONSUMER:
            return replace(
                grant,
                blocked_subscriptions=_without(grant.blocked_subscriptions, step.subscriptions),
                blocked_tenants=_without(grant.blocked_tenants, step.tenants),
            )
        case Operation.RESET:
            return replace(
                grant,
                subscriptions=(),
                tenants=(),
                community_enabled=False,
                blocked_subscriptions=(),
                blocked_tenants=(),
            )


def _refuse_too_many(grant: SharingGrant, limits: Limits) -> None:
    blocked = len(grant.blocked_subscriptions) + len(grant.blocked_tenants)
    for count, limit, consumers, what in (
        (
            len(grant.subscriptions),
            limits.shared_subscriptions,
            "subscriptions",
            "subscriptions shared with",
        ),
        (len(grant.tenants), limits.shared_tenants, "tenants", "tenants shared with"),
        (blocked, limits.blocked_consumers, "blocked", "blocked consumers"),
    ):
        if count > limit:
            raise exhausted(
                grant.gallery,
                limit,
                reason="SHARING_LIMIT_EXCEEDED",
                what=what,
                kind="gallery",
                more={"consumers": consumers},
            )


def _mismatch(asked: Apply, operation: Operation) -> FailedPrecondition:
    return FailedPrecondition(
        f"{operation.value} is not a step of the mode {asked.mode.value}",
        reason="SHARING_MODE_MISMATCH",
        metadata={
            "gallery": asked.gallery,
            "mode": asked.mode.value,
            "operation": operation.value,
        },
    )


def _with(names: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    known = {key(one): one for one in more} | {key(one): one for one in names}
    return tuple(known[one] for one in sorted(known))


def _without(names: Iterable[str], fewer: Iterable[str]) -> tuple[str, ...]:
    gone = set(map(key, fewer))
    return tuple(one for one in names if key(one) not in gone)
