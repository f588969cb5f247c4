"""A difference that changes of the policy would make to somebody."""

import enum
from dataclasses import dataclass

from services.policy.model import Permissions


class Whom(enum.IntEnum):
    """Whom a difference is about, in the order in which differences are told."""

    COMMUNITY = 0
    EVERYONE = 1
    PRINCIPAL = 2
    SUBSCRIPTION = 3
    TENANT = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """Somebody could do something at a scope and below it that they could not before, or no more.

    `who` is a key, empty for the community and everyone. `step` is the position of the change
    that does it.
    """

    gained: bool
    whom: Whom
    who: str
    scope: str
    permissions: Permissions
    step: int

    @property
    def is_public(self) -> bool:
        """Whether something becomes readable by the community."""
        return self.gained and self.whom is Whom.COMMUNITY

    @property
    def place(self) -> tuple[object, ...]:
        """What it is ordered by: what becomes public first, then effect, scope and subject."""
        return (not self.is_public, not self.gained, self.scope, self.whom, self.who, self.step)
