"""Checks that several use cases make, and the errors they end in."""

from collections.abc import Sequence

from services.catalog.domain import names, reasons
from services.catalog.domain.region import Region
from services.catalog.domain.resource import Resource
from services.catalog.domain.targets import note_unknown
from services.catalog.ports.calls import Regions, SubscriptionInfo, Subscriptions
from services.catalog.ports.transaction import Tx
from services.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    PreconditionViolation,
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
        raise Aborted(
            f"{resource.name} is being deleted",
            reason=reasons.OPERATION_IN_PROGRESS,
            metadata={"operation": tx.operations.blocking(resource.name)},
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


def refuse_children(name: str, children: Sequence[str]) -> None:
    """Refuse to delete what holds something, with the names of what it holds.

    Raises:
        FailedPrecondition: RESOURCE_NOT_EMPTY.
    """
    if not children:
        return
    shown = children[:_NAMED]
    more = " and more" if len(children) > _NAMED else ""
    raise FailedPrecondition(
        f"{name} is not empty: it holds {', '.join(shown)}{more}",
        reason=reasons.RESOURCE_NOT_EMPTY,
        metadata={"resource": name, "children": ",".join(shown)},
        precondition=[
            PreconditionViolation(reasons.RESOURCE_NOT_EMPTY, one, f"{one} exists") for one in shown
        ],
    )


MOST_CHILDREN = _NAMED + 1
"""How many children are read to name them: one more than are named."""
