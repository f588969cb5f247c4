"""Questions and decisions (authorization.md 1.3)."""

import enum
from dataclasses import dataclass
from typing import Final

from services.policy.conditions import Attributes
from services.policy.model import Plane


class Reason(enum.Enum):
    """Why a decision is what it is; stable, for logs and Explain, never for the caller."""

    ROLE_ASSIGNMENT = "ROLE_ASSIGNMENT"
    SHARED_SUBSCRIPTION = "SHARED_SUBSCRIPTION"
    SHARED_TENANT = "SHARED_TENANT"
    COMMUNITY = "COMMUNITY"
    TARGET_AND_SOURCE = "TARGET_AND_SOURCE"
    DENY_ASSIGNMENT = "DENY_ASSIGNMENT"
    NO_MATCHING_GRANT = "NO_MATCHING_GRANT"
    ACTION_NOT_IN_ROLE = "ACTION_NOT_IN_ROLE"
    ELIGIBLE_NOT_ACTIVE = "ELIGIBLE_NOT_ACTIVE"
    NOT_YET_ACTIVE = "NOT_YET_ACTIVE"
    EXPIRED = "EXPIRED"
    CONDITION_FALSE = "CONDITION_FALSE"
    CONDITION_UNSUPPORTED = "CONDITION_UNSUPPORTED"
    NOT_SHARED = "NOT_SHARED"
    PROXY_READ_ONLY = "PROXY_READ_ONLY"
    LINKED_SOURCE_DENIED = "LINKED_SOURCE_DENIED"
    LINKED_SOURCE_DENY_ASSIGNMENT = "LINKED_SOURCE_DENY_ASSIGNMENT"
    MALFORMED_RESOURCE = "MALFORMED_RESOURCE"
    MALFORMED_ACTION = "MALFORMED_ACTION"
    WILDCARD_ACTION = "WILDCARD_ACTION"


#: No decision was made: the question itself is wrong (INVALID in the algorithm).
INVALID: Final = frozenset(
    {Reason.MALFORMED_RESOURCE, Reason.MALFORMED_ACTION, Reason.WILDCARD_ACTION}
)


@dataclass(frozen=True, slots=True)
class Question:
    """May the caller do `action` at `scope`? Both in any spelling.

    `attributes` are what conditions may look at; without them one that needs any is not true.
    """

    action: str
    scope: str
    plane: Plane = Plane.CONTROL
    attributes: Attributes | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, with what decided it.

    `assignment` is the name of the role, eligible or deny assignment, `grant` the key of
    the gallery whose sharing grant covers a view. `item` is the position of the question
    that decided a conjunction.
    """

    allowed: bool
    reason: Reason
    revision: int
    assignment: str = ""
    grant: str = ""
    item: int = 0

    @property
    def invalid(self) -> bool:
        """Whether the question was malformed: neither a yes nor a no."""
        return self.reason in INVALID
