"""Keeps every subscription that has an owner from losing its last one."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.authz.domain.owners import OWNER_ROLE, chain_of, without_owner
from services.authz.ports.policy import Facts, Unit
from services.kernel.names import key
from services.kernel.violations import Violations
from services.policy.model import PrincipalKind

LAST_OWNER = "LAST_OWNER"


@contextmanager
def owners_kept(unit: Unit) -> Iterator[None]:
    """Compare who owns what before and after the writes within the `with` block.

    Raises:
        FailedPrecondition: LAST_OWNER, with every subscription that would be left without one.
    """
    before = _unowned(unit)
    yield
    violations = Violations()
    for subscription in sorted(_unowned(unit) - before):
        violations.precondition(
            LAST_OWNER,
            subscription,
            f"{subscription} would be left without an owner",
            reason=LAST_OWNER,
            metadata={"subscription": subscription},
        )
    violations.raise_if_any()


def _unowned(unit: Unit) -> frozenset[str]:
    facts = unit.facts
    chains = {
        one.key: chain_of(one.name, one.tenant, _climb(facts, key(one.parent)))
        for one in facts.subscriptions()
    }
    owners = [
        (one.scope_key, key(one.principal))
        for one in facts.assignments_of_role(OWNER_ROLE)
        if one.holds(unit.now)
    ]
    return without_owner(chains, owners, _Actors(facts).acts)


def _climb(facts: Facts, start: str) -> list[str]:
    above: list[str] = []
    while start and start not in above:
        above.append(start)
        group = facts.management_group(start)
        start = key(group.parent) if group is not None else ""
    return above


class _Actors:
    """Finds whether somebody who can act is, or is reached through, a principal."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def acts(self, principal_key: str) -> bool:
        seen = {principal_key}
        pending = [principal_key]
        while pending:
            principal = self._facts.principal(pending.pop())
            if principal is None or not principal.enabled:
                continue
            if principal.kind is not PrincipalKind.GROUP:
                return True
            members = {key(one.member) for one in self._facts.members(principal.key)}
            pending += members - seen
            seen |= members
        return False
