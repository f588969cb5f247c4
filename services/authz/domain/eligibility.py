"""Roles that are taken when they are needed, each time for a while."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.kernel import names
from services.policy.model import PrincipalKind

#: How long one activation may last where nothing else is said.
DEFAULT_MAXIMUM: Final = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Activation:
    """The role taken by somebody for `[start_time, end_time)`; `principal` is their name."""

    principal: str
    start_time: datetime
    end_time: datetime
    justification: str = ""

    @property
    def principal_key(self) -> str:
        """What the principal is compared by."""
        return names.key(self.principal)

    def holds(self, now: datetime) -> bool:
        """Whether it has begun and not ended."""
        return self.start_time <= now < self.end_time


@dataclass(frozen=True, slots=True)
class EligibleAssignment:
    """A role that a principal, or each member of a group, may take at a scope."""

    name: str
    scope: str
    principal: str
    principal_kind: PrincipalKind
    role_definition: str
    uid: str
    create_time: datetime
    description: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    condition: str = ""
    condition_version: str = ""
    max_activation: timedelta = DEFAULT_MAXIMUM
    justification_required: bool = True
    activations: tuple[Activation, ...] = ()
    creator: str = ""
    version: int = 1

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return names.key(self.name)

    @property
    def scope_key(self) -> str:
        """What the scope is compared by."""
        return names.key(self.scope)

    @property
    def principal_key(self) -> str:
        """What the principal is compared by."""
        return names.key(self.principal)

    def is_in_force(self, now: datetime) -> bool:
        """Whether it may be active at `now`."""
        begun = self.start_time is None or self.start_time <= now
        return begun and (self.end_time is None or now < self.end_time)

    def in_force(self, now: datetime) -> tuple[Activation, ...]:
        """Answer the activations that count at `now`, ordered by their principals."""
        if not self.is_in_force(now):
            return ()
        held = (one for one in self.activations if one.holds(now))
        return tuple(sorted(held, key=lambda one: one.principal_key))

    def activation_of(self, principal_key: str, now: datetime) -> Activation | None:
        """Answer the activation of a principal that counts at `now`."""
        return next((one for one in self.in_force(now) if one.principal_key == principal_key), None)

    def activated(self, activation: Activation, now: datetime) -> "EligibleAssignment":
        """Answer this with one activation more, and without those that have ended."""
        kept = tuple(one for one in self.activations if now < one.end_time)
        return replace(self, activations=(*kept, activation), version=self.version + 1)

    def deactivated(self, activation: Activation, now: datetime) -> "EligibleAssignment":
        """Answer this without an activation, nor those that have ended."""
        kept = (one for one in self.activations if now < one.end_time and one != activation)
        return replace(self, activations=tuple(kept), version=self.version + 1)
