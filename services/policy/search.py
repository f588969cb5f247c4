"""What a caller holds, and what is denied to them, node by node (authorization.md 1.3)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from services.policy.conditions import NO_ATTRIBUTES, Attributes, holds, understood
from services.policy.decision import Decision, Reason
from services.policy.index import PolicyIndex
from services.policy.model import EVERYONE, EligibleAssignment, Plane
from services.policy.tree import Deny, Held, ScopeNode

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


class Search:
    """Steps 3 and 4 of the algorithm, for one known action of one caller at one moment."""

    __slots__ = (
        "_action",
        "_attributes",
        "_caller",
        "_identities",
        "_index",
        "_now",
        "_plane",
        "is_timeless",
    )

    def __init__(
        self,
        index: PolicyIndex,
        caller: str,
        action: str,
        *,
        plane: Plane,
        now: datetime,
        attributes: Attributes = NO_ATTRIBUTES,
    ) -> None:
        """`action` is folded, `caller` the key of a principal, known or not."""
        self._index = index
        self._caller = caller
        self._identities = index.directory.identities(caller)
        self._action = action
        self._plane = plane
        self._now = now
        self._attributes = attributes
        #: Whether nothing that was looked at so far depends on the moment.
        self.is_timeless = True

    def denial(self, chain: Sequence[ScopeNode], target: str) -> Decision | None:
        """Answer the denial of the nearest deny assignment on the chain of `target`, or None."""
        for node in chain:
            for deny in node.denies_for(self._identities):
                assignment = deny.assignment
                if assignment.do_not_apply_to_child_scopes and assignment.scope != target:
                    continue
                if self.is_denied_by(deny):
                    reason = Reason.DENY_ASSIGNMENT
                    return Decision(False, reason, self._index.revision, assignment.name)
        return None

    def denies(self, node: ScopeNode, *, here: bool) -> bool:
        """Whether a deny at the node is meant; `here`, one that spares what is below."""
        return any(
            deny.assignment.do_not_apply_to_child_scopes is here and self.is_denied_by(deny)
            for deny in node.denies_for(self._identities)
        )

    def is_denied_by(self, deny: Deny) -> bool:
        """Whether a deny assignment is meant, wherever it counts."""
        assignment = deny.assignment
        if not deny.matcher.permits(self._action, self._plane):
            return False
        meant = assignment.principals
        if EVERYONE not in meant and self._identities.isdisjoint(meant):
            return False
        return self._identities.isdisjoint(assignment.exclude_principals)

    def grant(self, chain: Sequence[ScopeNode]) -> Decision:
        """Answer the nearest grant that holds, else a denial for the most specific reason."""
        best = Reason.NO_MATCHING_GRANT
        nearest = ""
        for node in chain:
            for held in node.held_by(self._identities):
                reason = self.outcome(held)
                if reason is Reason.ROLE_ASSIGNMENT:
                    return Decision(True, reason, self._index.revision, held.name)
                if _SPECIFICITY[reason] > _SPECIFICITY[best]:
                    best, nearest = reason, held.name
        return Decision(False, best, self._index.revision, nearest)

    def grants(self, node: ScopeNode) -> bool:
        """Whether a grant at the node holds."""
        return any(
            self.outcome(held) is Reason.ROLE_ASSIGNMENT for held in node.held_by(self._identities)
        )

    def outcome(self, held: Held) -> Reason:
        """Say why something that the caller holds grants the action, or why it does not."""
        role = self._index.directory.roles.get(held.role)
        if role is None or not role.permits(self._action, self._plane):
            return Reason.ACTION_NOT_IN_ROLE
        if held.start is not None or held.end is not None or isinstance(held, EligibleAssignment):
            self.is_timeless = False
        if held.start is not None and self._now < held.start:
            return Reason.NOT_YET_ACTIVE
        if held.end is not None and self._now >= held.end:
            return Reason.EXPIRED
        if isinstance(held, EligibleAssignment) and not self._is_activated(held):
            return Reason.ELIGIBLE_NOT_ACTIVE
        return self._conditional(held.condition) if held.condition else Reason.ROLE_ASSIGNMENT

    def _conditional(self, condition: str) -> Reason:
        expression = understood(condition)
        if expression is None:
            return Reason.CONDITION_UNSUPPORTED
        outcome = holds(expression, self._action, self._attributes)
        if outcome is None:
            outcome = self._attributes.presumed
        return Reason.ROLE_ASSIGNMENT if outcome else Reason.CONDITION_FALSE

    def _is_activated(self, held: EligibleAssignment) -> bool:
        return any(
            one.principal == self._caller and one.start <= self._now < one.end
            for one in held.activations
        )
