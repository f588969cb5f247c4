"""What several use cases look up, and the one error for each thing that is not there."""

from typing import TypeVar

from services.authz.domain.names import management_group_of, subscription_of
from services.authz.domain.records import Record
from services.authz.ports.policy import Facts
from services.kernel.errors import NotFound
from services.kernel.names import key
from services.policy.index import PolicyIndex
from services.policy.scopes import Scope

PARENT_NOT_FOUND = "PARENT_NOT_FOUND"


R = TypeVar("R")


def found(record: R | None, type: str, name: str) -> R:
    """Answer a record that is there.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    if record is None:
        raise NotFound.of(f"stoa.dev/{type}", name)
    return record


def require_parent(facts: Facts, scope: str) -> None:
    """Refuse a scope whose tenant, management group or subscription is not there.

    What lies below a subscription, and a region, belongs to other services and need not exist.

    Raises:
        NotFound: PARENT_NOT_FOUND.
    """
    folded = key(scope)
    known: Record | None
    subscription = subscription_of(scope)
    if subscription is not None:
        known, name = facts.subscription(subscription), subscription
    elif management_group_of(scope) is not None:
        known, name = facts.management_group(folded), scope
    elif folded.startswith("tenants/"):
        known, name = facts.tenant(folded), scope
    else:
        return
    if known is None:
        raise parent_not_found(name)


def parent_not_found(name: str) -> NotFound:
    """Build the error for a parent that is not there."""
    return NotFound(f"{name} does not exist", reason=PARENT_NOT_FOUND, metadata={"resource": name})


def chain_keys(index: PolicyIndex, scope: str) -> tuple[str, ...]:
    """Answer the keys of a scope and of everything above it, the nearest first."""
    return index.directory.chain(Scope.parse(scope))
