"""Where somebody holds anything at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.authz.domain.names import subscription_of
from services.authz.domain.records import Subscription
from services.authz.ports.policy import Facts
from services.authz.usecases.finding import chain_keys
from services.policy.index import PolicyIndex


@dataclass(frozen=True, slots=True)
class Holdings:
    """The scopes at which roles are held, and the subscriptions that they lie in."""

    index: PolicyIndex
    scopes: frozenset[str]
    subscriptions: frozenset[str]

    @classmethod
    def of(
        cls, facts: Facts, index: PolicyIndex, principals: Iterable[str], now: datetime
    ) -> "Holdings":
        """Answer what principals hold now, by themselves and through groups."""
        held_by = frozenset(principals)
        identities: set[str] = set()
        for principal in held_by:
            identities |= index.directory.identities(principal)
        scopes: set[str] = set()
        for identity in identities:
            for held in facts.assignments_of(identity):
                begun = held.start_time is None or held.start_time <= now
                if begun and (held.end_time is None or now < held.end_time):
                    scopes.add(held.scope_key)
            for taken in facts.eligible_of(identity):
                if any(one.principal_key in held_by for one in taken.in_force(now)):
                    scopes.add(taken.scope_key)
        inside = (subscription_of(scope) for scope in scopes)
        return cls(index, frozenset(scopes), frozenset(one for one in inside if one))

    def reach(self, subscription: Subscription) -> bool:
        """Whether something is held at a subscription, above it or below it."""
        if subscription.key in self.subscriptions:
            return True
        return not self.scopes.isdisjoint(chain_keys(self.index, subscription.name))
