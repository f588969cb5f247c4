"""Checks that several use cases make, and the errors they end in."""

from collections.abc import Sequence

from services.catalog.domain import names, reasons
from services.catalog.domain.region import Region
from services.catalog.domain.resource import Resource
from services.catalog.domain.targets import Placement, note_unknown
from services.catalog.domain.version import Version
from services.catalog.ports.calls import Regions, SubscriptionInfo, Subscriptions
from services.catalog.ports.transaction import Tx
from services.kernel.errors import (
    Aborted,
    AlreadyExists,
    NotFound,
    ResourceInfo,
)
from services.kernel.names import key
from services.kernel.violations import Violations

_NAMED = 20


def subscription(
    subscriptions: Subscriptions, name: str, violations: Violations
) -> SubscriptionInfo | None:
    """Answer the subscription that a name lies in, and note when it is disabled.

    Answers None where it does not exist, for `parent_missing` to tell once the request itself is
    known to be right.
    """
    found = names.subscription_of(name)
    info = subscriptions.find(key(found))
    if info is not None and not info.enabled:
        violations.precondition(
            reasons.SUBSCRIPTION_DISABLED,
            found,
            f"{found} is disabled: it can be read, and deleted from, alone",
            reason=reasons.SUBSCRIPTION_DISABLED,
            metadata={"subscription": found},
        )
    return info


def parent_missing(resource_type: str, name: str, violations: Violations) -> NotFound:
    """Build the error for a parent that does not exist.

    Raises:
        InvalidArgument: the request is wrong anyway.
    """
    violations.raise_if_any()
    return NotFound(
        f"{name} does not exist",
        reason=reasons.PARENT_NOT_FOUND,
        metadata={"resource": name},
        resource=ResourceInfo(resource_type, name),
    )


def not_going(tx: Tx, resource: Resource) -> None:
    """Refuse to change, or to add to, what is being deleted.

    Raises:
        Aborted: OPERATION_IN_PROGRESS.
    """
    if resource.deleting:
        raise in_progress(resource, "is being deleted", tx.operations.blocking(resource.name))
    if isinstance(resource, Version):
        undeleting = tx.operations.undeleting(resource.name)
        if undeleting:
            raise in_progress(resource, "is being undeleted", undeleting)


def in_progress(resource: Resource, what: str, operation: str) -> Aborted:
    """Build the error for a change while something else is being done to a resource."""
    return Aborted(
        f"{resource.name} {what}",
        reason=reasons.OPERATION_IN_PROGRESS,
        metadata={"operation": operation},
    )


def not_soft_deleted(version: Version, violations: Violations) -> None:
    """Note that a soft-deleted version cannot be changed."""
    if version.soft_deleted:
        purge = version.purge_time
        violations.precondition(
            reasons.VERSION_SOFT_DELETED,
            version.name,
            f"{version.name} is soft-deleted: undelete it first, or purge it",
            reason=reasons.VERSION_SOFT_DELETED,
            metadata={
                "resource": version.name,
                "purge_time": purge.isoformat() if purge else "",
            },
        )


def taken(resource_type: str, location: str, existing: Resource) -> AlreadyExists:
    """Build the error for a name that is taken, in the same region or in another one."""
    if existing.location != location:
        return AlreadyExists(
            f"{existing.name} exists already, in {existing.location}",
            reason=reasons.LOCATION_CONFLICT,
            metadata={"resource": existing.name, "location": existing.location},
            resource=ResourceInfo(resource_type, existing.name),
        )
    return AlreadyExists.of(resource_type, existing.name)


def find_region(text: str, field: str, regions: Regions, violations: Violations) -> Region | None:
    """Answer the region that a `location` field means, and note what is wrong with it."""
    if not text:
        violations.add(field, "a region is required")
        return None
    found = regions.find([text])[text]
    if found is None:
        note_unknown(violations, field, text, known=regions.known())
    return found


def enabled_region(
    info: SubscriptionInfo | None, region: Region | None, field: str, violations: Violations
) -> None:
    """Note a region that is not on the list of a subscription, where the operator made one."""
    if info is None or region is None or info.regions is None or region.id in info.regions:
        return
    violations.precondition(
        reasons.REGION_NOT_ENABLED,
        field,
        f"{info.key} may not use {region.id}; it may use {', '.join(sorted(info.regions))}",
        reason=reasons.REGION_NOT_ENABLED,
        metadata={"location": region.id},
    )


def enabled_regions(
    info: SubscriptionInfo | None, placed: Sequence[Placement], violations: Violations
) -> None:
    """Note the target regions that are not on the list of a subscription."""
    for one in placed:
        enabled_region(info, one.region, one.path, violations)


MOST_CHILDREN = _NAMED + 1
"""How many children are read to name them: one more than are named."""
