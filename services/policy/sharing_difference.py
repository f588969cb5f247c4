"""What a change of sharing would change for its consumers."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from services.policy.actions import VIEWS
from services.policy.directory import Directory
from services.policy.findings import Finding, Whom
from services.policy.model import Permissions, SharingGrant, SharingMode
from services.policy.scopes import ViewKind
from services.policy.sharing import coverage

_READS: Final[Mapping[ViewKind, Permissions]] = MappingProxyType(
    {
        kind: Permissions(
            tuple(one for one in VIEWS if f"/{kind.value}" in one.lower()),
        )
        for kind in ViewKind
    }
)


def sharing_differences(
    gallery: str,
    before: SharingGrant | None,
    after: SharingGrant | None,
    *,
    directory: Directory,
    step: int,
) -> Iterator[Finding]:
    """Answer who would gain and lose the views of a gallery, by its grants before and after.

    A subscription that is covered by its tenant or as one of the community neither gains nor
    loses anything by being named besides.
    """

    def found(gained: bool, whom: Whom, who: str = "") -> Finding:  # noqa: FBT001 - a record
        kind = _kind(after if gained else before)
        return Finding(gained, whom, who, gallery, _READS[kind], step)

    if _is_open(before) is not _is_open(after):
        yield found(_is_open(after), Whom.COMMUNITY)
    for tenant in sorted(_named_tenants(before) ^ _named_tenants(after)):
        gained = _covers_tenant(after, tenant)
        if gained is not _covers_tenant(before, tenant) and not _is_whole(before, after):
            yield found(gained, Whom.TENANT, tenant)
    for key in sorted(_named(before) ^ _named(after)):
        consumer = directory.subscriptions.get(key)
        if consumer is None:
            continue
        covered = None if after is None else coverage(after, consumer)
        was = None if before is None else coverage(before, consumer)
        if (covered is None) is not (was is None) and not _is_whole(before, after):
            yield found(covered is not None, Whom.SUBSCRIPTION, key)


def _is_open(grant: SharingGrant | None) -> bool:
    return grant is not None and grant.mode is SharingMode.COMMUNITY and grant.community_enabled


def _is_whole(before: SharingGrant | None, after: SharingGrant | None) -> bool:
    """Whether the community as a whole gains or loses, which says all there is to say."""
    return _is_open(before) is not _is_open(after)


def _kind(grant: SharingGrant | None) -> ViewKind:
    is_community = grant is not None and grant.mode is SharingMode.COMMUNITY
    return ViewKind.COMMUNITY if is_community else ViewKind.SHARED


def _named(grant: SharingGrant | None) -> frozenset[str]:
    """Answer the subscriptions named on either side of a grant."""
    return _starting(grant, "subscriptions/")


def _named_tenants(grant: SharingGrant | None) -> frozenset[str]:
    return _starting(grant, "tenants/")


def _starting(grant: SharingGrant | None, collection: str) -> frozenset[str]:
    if grant is None:
        return frozenset()
    named = grant.subscriptions | grant.tenants | grant.blocked
    return frozenset(one for one in named if one.startswith(collection))


def _covers_tenant(grant: SharingGrant | None, tenant: str) -> bool:
    """Whether a subscription of a tenant, any that nobody names, is covered."""
    if grant is None or tenant in grant.blocked:
        return False
    if grant.mode is SharingMode.GROUPS:
        return tenant in grant.tenants
    return _is_open(grant)
