"""What the author of a role may not have meant; it never stops a write (threat T21)."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.kernel.names import fold
from services.policy.actions import KNOWN
from services.policy.matching import matches
from services.policy.model import Permissions, Plane

SHARING: Final = fold("Microsoft.Compute/galleries/share/action")
ASSIGNING: Final = fold("Microsoft.Authorization/roleAssignments/write")


class WarningKind(enum.Enum):
    """What a pattern does besides what it seems to."""

    GRANTS_SHARING = "grantsSharing"
    GRANTS_ROLE_ASSIGNMENT = "grantsRoleAssignment"
    MATCHES_NOTHING = "matchesNothing"


@dataclass(frozen=True, slots=True)
class Warned:
    """A pattern of a role, and what is odd about it."""

    kind: WarningKind
    pattern: str


def warnings_of(permissions: tuple[Permissions, ...]) -> tuple[Warned, ...]:
    """Answer what is odd about the patterns of a role, in their order, each once.

    A wildcard that also covers sharing or assigning is told unless the same permission takes
    that out again. A pattern of `notActions` that matches nothing is told as well: it may be
    meant to take out what is granted.
    """
    return tuple(dict.fromkeys(found for one in permissions for found in _odd(one)))


def _odd(permission: Permissions) -> Iterator[Warned]:
    for kind, action in (
        (WarningKind.GRANTS_SHARING, SHARING),
        (WarningKind.GRANTS_ROLE_ASSIGNMENT, ASSIGNING),
    ):
        if any(matches(pattern, action) for pattern in permission.not_actions):
            continue
        for pattern in permission.actions:
            if "*" in pattern and matches(pattern, action):
                yield Warned(kind, pattern)
    for plane in Plane:
        known = KNOWN.names(plane)
        for patterns in permission.patterns(plane):
            for pattern in patterns:
                if not any(matches(pattern, action) for action in known):
                    yield Warned(WarningKind.MATCHES_NOTHING, pattern)
