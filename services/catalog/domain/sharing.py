"""Steps in the sharing of a gallery: what they need, and what they come to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from services.catalog.domain import reasons
from services.catalog.domain.gallery import (
    CommunityTexts,
    Consumers,
    Gallery,
    ShareChange,
    ShareOperation,
    Sharing,
    SharingMode,
)
from services.kernel.names import key
from services.kernel.violations import Violations

_MODES: Final = {
    ShareOperation.ADD: SharingMode.GROUPS,
    ShareOperation.REMOVE: SharingMode.GROUPS,
    ShareOperation.ENABLE_COMMUNITY: SharingMode.COMMUNITY,
    ShareOperation.DISABLE_COMMUNITY: SharingMode.COMMUNITY,
    ShareOperation.BLOCK_CONSUMER: SharingMode.COMMUNITY,
    ShareOperation.UNBLOCK_CONSUMER: SharingMode.COMMUNITY,
}
# Steps that let somebody in; what takes back is possible in any state.
OPENING: Final = frozenset(
    {ShareOperation.ADD, ShareOperation.ENABLE_COMMUNITY, ShareOperation.UNBLOCK_CONSUMER}
)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who sees more, and who less, after a change; `public` whether everyone sees the gallery."""

    public: bool
    opened: bool
    gaining: Consumers
    losing: Consumers


def check(gallery: Gallery, change: ShareChange, violations: Violations) -> None:
    """Note a step that does not fit the mode of the gallery, or texts that it lacks."""
    sharing = gallery.sharing
    wanted = _MODES.get(change.operation)
    if wanted is not None and sharing.mode is not wanted:
        operation, mode = change.operation.value, sharing.mode.value
        violations.precondition(
            reasons.SHARING_MODE_MISMATCH,
            gallery.name,
            f"{operation} is for mode {wanted.value}, and {gallery.name} is in mode {mode}",
            reason=reasons.SHARING_MODE_MISMATCH,
            metadata={"operation": operation, "mode": mode},
        )
        return
    if change.operation is ShareOperation.ENABLE_COMMUNITY:
        for field in ("publisher_uri", "publisher_contact", "eula", "public_name_prefix"):
            if not getattr(sharing.texts, field):
                violations.precondition(
                    reasons.COMMUNITY_INFO_INCOMPLETE,
                    gallery.name,
                    f"{field} of the community texts is missing",
                    reason=reasons.COMMUNITY_INFO_INCOMPLETE,
                )


def after(sharing: Sharing, change: ShareChange) -> Sharing:
    """Answer the sharing after a step, under the next sequence number."""
    sequence = sharing.sequence + 1
    named = change.consumers
    match change.operation:
        case ShareOperation.ADD:
            return replace(sharing, groups=_with(sharing.groups, named), sequence=sequence)
        case ShareOperation.REMOVE:
            return replace(sharing, groups=_without(sharing.groups, named), sequence=sequence)
        case ShareOperation.ENABLE_COMMUNITY:
            return replace(sharing, community_enabled=True, sequence=sequence)
        case ShareOperation.DISABLE_COMMUNITY:
            return replace(sharing, community_enabled=False, sequence=sequence)
        case ShareOperation.BLOCK_CONSUMER:
            return replace(sharing, blocked=_with(sharing.blocked, named), sequence=sequence)
        case ShareOperation.UNBLOCK_CONSUMER:
            return replace(sharing, blocked=_without(sharing.blocked, named), sequence=sequence)
        case ShareOperation.RESET:
            return Sharing(sequence=sequence)
        case _:
            assert_never(change.operation)


def audience(before: Sharing, then: Sharing) -> Audience:
    """Compare whom two states of the sharing of a gallery let in."""
    gaining = _without(then.groups, before.groups)
    losing = _without(before.groups, then.groups)
    if then.community_enabled:
        gaining = _with(gaining, _without(before.blocked, then.blocked))
        losing = _with(losing, _without(then.blocked, before.blocked))
    opened = then.community_enabled and not before.community_enabled
    if opened:
        # They are among everyone who gains, or are shut out as before.
        gaining, losing = Consumers(), Consumers()
    return Audience(then.community_enabled, opened, gaining, losing)


def texts_shown(gallery: Gallery, seen: Audience) -> CommunityTexts | None:
    """Answer the texts that become public by a change."""
    return gallery.sharing.texts if seen.opened else None


def _with(consumers: Consumers, more: Consumers) -> Consumers:
    return Consumers(
        _union(consumers.subscriptions, more.subscriptions),
        _union(consumers.tenants, more.tenants),
    )


def _without(consumers: Consumers, fewer: Consumers) -> Consumers:
    return Consumers(
        _difference(consumers.subscriptions, fewer.subscriptions),
        _difference(consumers.tenants, fewer.tenants),
    )


def _union(names: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    found = {key(one): one for one in more} | {key(one): one for one in names}
    return tuple(found[one] for one in sorted(found))


def _difference(names: Iterable[str], fewer: Iterable[str]) -> tuple[str, ...]:
    gone = {key(one) for one in fewer}
    return tuple(one for one in names if key(one) not in gone)
