"""The decision algorithm (authorization.md 1.3).

Denies come first and are final. Then every role that the caller holds on the chain, by
themselves or through a group, is asked by itself: `actions - notActions`, united across
roles. A view of a shared gallery needs the publisher's grant besides.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from services.kernel.errors import InvalidName
from services.policy.actions import KNOWN, ActionRegistry
from services.policy.index import PolicyIndex
from services.policy.model import (
    EVERYONE,
    EligibleAssignment,
    Plane,
)
from services.policy.scopes import Scope, View
from services.policy.sharing import Coverage
from services.policy.tree import Deny, Held, ScopeNode


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

# Of several reasons for a denial the one that was nearest to a grant is told.
_SPECIFICITY: Final[Mapping[Reason, int]] = MappingProxyType(
    {
        reason: rank
        for rank, reason in enumerate(
            (
                Reason.NO_MATCHING_GRANT,
                Reason.ACTION_NOT_IN_ROLE,
                Reason.EXPIRED,
                Reason.NOT_YET_ACTIVE,
                Reason.ELIGIBLE_NOT_ACTIVE,
                Reason.CONDITION_UNSUPPORTED,
                Reason.CONDITION_FALSE,
            )
        )
    }
)
_COVERED: Final[Mapping[Coverage, Reason]] = MappingProxyType(
    {
        Coverage.SUBSCRIPTION: Reason.SHARED_SUBSCRIPTION,
        Coverage.TENANT: Reason.SHARED_TENANT,
        Coverage.COMMUNITY: Reason.COMMUNITY,
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """May the caller do `action` at `scope`? Both in any spelling."""

    action: str
    scope: str
    plane: Plane = Plane.CONTROL


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


def evaluate(
    index: PolicyIndex,
    caller: str,
    question: Question,
    *,
    now: datetime,
    registry: ActionRegistry = KNOWN,
) -> Decision:
    """Decide one question at the revision of `index`.

    Args:
        index: the policy.
        caller: the key of the principal that asks; one that is unknown holds nothing.
        question: what is asked.
        now: the time of the evaluator's clock, aware.
        registry: the actions that may be asked about.
    """
    action = registry.find(question.action, question.plane)
    if action is None:
        wild = "*" in question.action
        reason = Reason.WILDCARD_ACTION if wild else Reason.MALFORMED_ACTION
        return Decision(False, reason, index.revision)
    try:
        scope = Scope.parse(question.scope)
    except InvalidName:
        return Decision(False, Reason.MALFORMED_RESOURCE, index.revision)
    chain = index.chain(scope)
    identities = index.directory.identities(caller)
    for node in chain:
        for deny in node.denies:
            if _denies(deny, scope, identities, action=action, plane=question.plane):
                name = deny.assignment.name
                return Decision(False, Reason.DENY_ASSIGNMENT, index.revision, name)
    if scope.view is not None and not _is_view_read(scope.view, action):
        return Decision(False, Reason.PROXY_READ_ONLY, index.revision)
    decision = _Search(index, caller, identities, action, question.plane, now).over(chain)
    if scope.view is None or not decision.allowed:
        return decision
    return _publisher_side(index, scope.view, decision)


def evaluate_all(
    index: PolicyIndex,
    items: Sequence[tuple[str, Question]],
    *,
    now: datetime,
    registry: ActionRegistry = KNOWN,
) -> Decision:
    """Decide a conjunction: the target first, then its sources (authorization.md 1.5).

    Each question goes with the principal that asks it: the same person may be another
    principal in the tenant of a source.
    """
    if not items:
        raise ValueError("a conjunction of nothing would always hold")
    for item, (caller, question) in enumerate(items):
        found = evaluate(index, caller, question, now=now, registry=registry)
        if not found.allowed:
            reason = _linked(found.reason) if item else found.reason
            return replace(found, reason=reason, item=item)
    if len(items) == 1:
        return found
    return Decision(True, Reason.TARGET_AND_SOURCE, index.revision, item=len(items) - 1)


def _linked(reason: Reason) -> Reason:
    if reason in INVALID:
        return reason
    if reason is Reason.DENY_ASSIGNMENT:
        return Reason.LINKED_SOURCE_DENY_ASSIGNMENT
    return Reason.LINKED_SOURCE_DENIED


def _denies(
    deny: Deny, scope: Scope, identities: frozenset[str], *, action: str, plane: Plane
) -> bool:
    assignment = deny.assignment
    if assignment.do_not_apply_to_child_scopes and assignment.scope != scope.key:
        return False
    if not deny.matcher.permits(action, plane):
        return False
    if EVERYONE not in assignment.principals and identities.isdisjoint(assignment.principals):
        return False
    return identities.isdisjoint(assignment.exclude_principals)


def _is_view_read(view: View, action: str) -> bool:
    prefix = f"microsoft.compute/locations/{view.kind.value}/"
    return action.startswith(prefix) and action.endswith("/read")


def _publisher_side(index: PolicyIndex, view: View, consumer_side: Decision) -> Decision:
    consumer = index.directory.subscriptions.get(view.consumer)
    found = None if consumer is None else index.sharing.resolve(view, consumer)
    if found is None:
        return Decision(False, Reason.NOT_SHARED, index.revision, consumer_side.assignment)
    grant, by = found
    return Decision(
        True, _COVERED[by], index.revision, consumer_side.assignment, grant=grant.gallery
    )


@dataclass(slots=True)
class _Search:
    """Step 4 of the algorithm for one action of one caller."""

    index: PolicyIndex
    caller: str
    identities: frozenset[str]
    action: str
    plane: Plane
    now: datetime

    def over(self, chain: Sequence[ScopeNode]) -> Decision:
        """Answer the first grant that holds, else the most specific reason."""
        best = Reason.NO_MATCHING_GRANT
        nearest = ""
        for node in chain:
            for held in node.held_by(self.identities):
                reason = self._outcome(held)
                if reason is Reason.ROLE_ASSIGNMENT:
                    return Decision(True, reason, self.index.revision, held.name)
                if _SPECIFICITY[reason] > _SPECIFICITY[best]:
                    best, nearest = reason, held.name
        return Decision(False, best, self.index.revision, nearest)

    def _outcome(self, held: Held) -> Reason:
        role = self.index.directory.roles.get(held.role)
        if role is None or not role.permits(self.action, self.plane):
            return Reason.ACTION_NOT_IN_ROLE
        if held.start is not None and self.now < held.start:
            return Reason.NOT_YET_ACTIVE
        if held.end is not None and self.now >= held.end:
            return Reason.EXPIRED
        if isinstance(held, EligibleAssignment) and not self._is_activated(held):
            return Reason.ELIGIBLE_NOT_ACTIVE
        # No condition is understood yet: one that is not understood grants nothing.
        return Reason.CONDITION_UNSUPPORTED if held.condition else Reason.ROLE_ASSIGNMENT

    def _is_activated(self, held: EligibleAssignment) -> bool:
        return any(
            one.principal == self.caller and one.start <= self.now < one.end
            for one in held.activations
        )
