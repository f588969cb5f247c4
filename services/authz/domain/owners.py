"""Which subscriptions have an owner: a user or service principal that holds Owner there.

A subscription that had one must keep one (authorization.md 1.5, case 79). What counts is an
assignment of Owner at the subscription or above it that holds now and carries no condition, to
a principal that is enabled, or to a group through which one is reached.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from services.kernel.names import ROOT, key
from services.policy.builtin_roles import OWNER

OWNER_ROLE: Final = f"roledefinitions/{OWNER.id}"


def without_owner(
    chains: Mapping[str, tuple[str, ...]],
    owners: Iterable[tuple[str, str]],
    acts: Callable[[str], bool],
) -> frozenset[str]:
    """Answer the keys of the subscriptions that nobody owns.

    Args:
        chains: for each subscription the keys at which a role reaches it, itself included.
        owners: (scope, principal) of each assignment of Owner that holds.
        acts: whether a principal is, or leads to, somebody who can act.
    """
    held: dict[str, set[str]] = {}
    for scope, principal in owners:
        held.setdefault(scope, set()).add(principal)
    owned = {scope for scope, principals in held.items() if any(map(acts, principals))}
    return frozenset(name for name, chain in chains.items() if owned.isdisjoint(chain))


def chain_of(subscription: str, tenant: str, above: Iterable[str]) -> tuple[str, ...]:
    """Answer the keys at which a role reaches a subscription; `above` are management groups."""
    return (key(subscription), *above, key(tenant), ROOT)
