"""How a decision comes about: everything that was looked at, with its outcome.

`evaluate` stops at what decides; this looks at all of it, by the same rules.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.policy.actions import KNOWN, ActionRegistry
from services.policy.builtin_roles import BUILT_IN_ROLES
from services.policy.conditions import NO_ATTRIBUTES, holds, understood
from services.policy.decision import Decision, Question, Reason
from services.policy.evaluation import COVERED, evaluate
from services.policy.index import PolicyIndex
from services.policy.matching import PermissionMatcher, matched
from services.policy.memberships import ways_to_groups
from services.policy.model import (
    EVERYONE,
    DenyAssignment,
    EligibleAssignment,
    Plane,
    RoleAssignment,
    RoleDefinition,
)
from services.policy.scopes import Scope, View
from services.policy.search import Search
from services.policy.tree import Deny

_SUGGESTED: Final = 5
# A role more would change nothing.
_NO_ROLE_HELPS: Final = frozenset(
    {Reason.DENY_ASSIGNMENT, Reason.PROXY_READ_ONLY, Reason.NOT_SHARED}
)


class DenyState(enum.Enum):
    """Whether a deny assignment denies the action."""

    DENIED = "DENIED"
    ACTION_NOT_MATCHED = "ACTION_NOT_MATCHED"
    EXCLUDED = "EXCLUDED"
    NOT_AT_THIS_DEPTH = "NOT_AT_THIS_DEPTH"


@dataclass(frozen=True, slots=True)
class ConsideredDeny:
    """A deny assignment that concerns the caller or everyone."""

    deny: DenyAssignment
    state: DenyState
    matched_action: str


@dataclass(frozen=True, slots=True)
class ConsideredGrant:
    """A role or eligible assignment of the caller or of a group of theirs.

    `is_unknown` where its condition needs an attribute that the question does not give.
    """

    held: RoleAssignment | EligibleAssignment
    reason: Reason
    matched_action: str
    matched_not_action: str
    is_unknown: bool


@dataclass(frozen=True, slots=True)
class ConsideredSharing:
    """The two sides of a view: what the caller holds, and by what the grant covers them."""

    view: View
    consumer_allowed: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Trace:
    """A decision with the keys of the scopes walked, the nearest first, and what was found.

    `groups` maps the groups through which something concerns the caller to a shortest way
    there: the groups between, the one that the caller is a member of first.
    """

    decision: Decision
    scopes: tuple[str, ...]
    denies: tuple[ConsideredDeny, ...]
    assignments: tuple[ConsideredGrant, ...]
    eligible: tuple[ConsideredGrant, ...]
    groups: Mapping[str, tuple[str, ...]]
    sharing: ConsideredSharing | None
    suggested_roles: tuple[RoleDefinition, ...]


def trace(
    index: PolicyIndex,
    caller: str,
    question: Question,
    *,
    now: datetime,
    registry: ActionRegistry = KNOWN,
) -> Trace:
    """Decide one question and tell how; the arguments are those of `evaluate`.

    Raises:
        ValueError: the question makes no sense, so that there is no decision.
    """
    decision = evaluate(index, caller, question, now=now, registry=registry)
    action = registry.find(question.action, question.plane)
    if decision.invalid or action is None:
        raise ValueError(f"{question} has no answer")
    scope = Scope.parse(question.scope)
    tracer = _Tracer(index, caller, question, action, now=now, scope=scope)
    chain = index.directory.chain(scope)
    grants = tuple(tracer.grants(chain))
    denies = tuple(tracer.denies(chain))
    ways = ways_to_groups(index.directory, caller)
    meant = {one.held.principal for one in grants}
    meant |= {one for found in denies for one in _named(found.deny)}
    return Trace(
        decision,
        chain,
        denies,
        tuple(one for one in grants if isinstance(one.held, RoleAssignment)),
        tuple(one for one in grants if isinstance(one.held, EligibleAssignment)),
        groups={group: way for group, way in ways.items() if group in meant},
        sharing=tracer.sharing(),
        suggested_roles=_suggested(decision, action, question.plane, registry),
    )


class _Tracer:
    def __init__(
        self,
        index: PolicyIndex,
        caller: str,
        question: Question,
        action: str,
        *,
        now: datetime,
        scope: Scope,
    ) -> None:
        self._index: Final = index
        self._identities: Final = index.directory.identities(caller)
        self._attributes: Final = question.attributes or NO_ATTRIBUTES
        self._action: Final = action
        self._plane: Final = question.plane
        self._scope: Final = scope
        self._search: Final = Search(
            index, caller, action, plane=question.plane, now=now, attributes=self._attributes
        )

    def denies(self, chain: tuple[str, ...]) -> Iterator[ConsideredDeny]:
        for key in chain:
            node = self._index.find(Scope.parse(key))
            found = node.denies_for(self._identities) if node is not None else ()
            # One that names several of the caller's groups may be found by each.
            for _, one in sorted({one.assignment.name: one for one in found}.items()):
                if one.assignment.principals & (self._identities | {EVERYONE}):
                    action = matched(one.assignment.permissions, self._action, self._plane)[0]
                    yield ConsideredDeny(one.assignment, self._state(one), action)

    def _state(self, deny: Deny) -> DenyState:
        assignment = deny.assignment
        if assignment.do_not_apply_to_child_scopes and assignment.scope != self._scope.key:
            return DenyState.NOT_AT_THIS_DEPTH
        if not deny.matcher.permits(self._action, self._plane):
            return DenyState.ACTION_NOT_MATCHED
        return DenyState.DENIED if self._search.is_denied_by(deny) else DenyState.EXCLUDED

    def grants(self, chain: tuple[str, ...]) -> Iterator[ConsideredGrant]:
        for key in chain:
            node = self._index.find(Scope.parse(key))
            held = node.held_by(self._identities) if node is not None else ()
            for one in sorted(held, key=lambda held: held.name):
                role = self._index.directory.roles.get(one.role)
                permissions = role.definition.permissions if role is not None else ()
                yield ConsideredGrant(
                    one,
                    reason := self._search.outcome(one),
                    *matched(permissions, self._action, self._plane),
                    is_unknown=reason is Reason.CONDITION_FALSE and self._is_unknown(one.condition),
                )

    def _is_unknown(self, condition: str) -> bool:
        expression = understood(condition)
        return expression is not None and holds(expression, self._action, self._attributes) is None

    def sharing(self) -> ConsideredSharing | None:
        view = self._scope.view
        if view is None:
            return None
        chain = self._index.chain(self._scope)
        denial = self._search.denial(chain, self._scope.key)
        allowed = denial is None and self._search.grant(chain).allowed
        consumer = self._index.directory.subscriptions.get(view.consumer)
        found = None if consumer is None else self._index.sharing.resolve(view, consumer)
        return ConsideredSharing(
            view, allowed, Reason.NOT_SHARED if found is None else COVERED[found[1]]
        )


def _named(deny: DenyAssignment) -> frozenset[str]:
    return deny.principals | deny.exclude_principals


def _suggested(
    decision: Decision, action: str, plane: Plane, registry: ActionRegistry
) -> tuple[RoleDefinition, ...]:
    """Answer the built-in roles that have the action, the one with the fewest others first."""
    if decision.allowed or decision.reason in _NO_ROLE_HELPS:
        return ()
    found: list[tuple[int, str, RoleDefinition]] = []
    for role in BUILT_IN_ROLES:
        matcher = PermissionMatcher(role.permissions)
        if matcher.permits(action, plane):
            names = (registry.find(name, plane) or "" for name in registry.names(plane))
            count = sum(matcher.permits(name, plane) for name in names)
            found.append((count, role.id, role))
    return tuple(role for *_, role in sorted(found, key=lambda one: one[:2])[:_SUGGESTED])
