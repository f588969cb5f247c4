"""Whom a change of the policy concerns, and where: what has to be compared to know more."""

from collections.abc import Iterator

from services.kernel.names import parent
from services.policy.holders import NOWHERE
from services.policy.index import PolicyIndex
from services.policy.model import (
    EVERYONE,
    Change,
    DenyAssignment,
    EligibleAssignment,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Membership,
    Removed,
    RoleAssignment,
    RoleDefinition,
    Subscription,
)
from services.policy.scopes import Scope
from services.policy.tree import EMPTY_NODE, Held, ScopeNode

_HELD = frozenset({Kind.ROLE_ASSIGNMENT, Kind.ELIGIBLE_ASSIGNMENT})


def held_by(
    change: Change, before: PolicyIndex, after: PolicyIndex
) -> Iterator[tuple[Held, str, str]]:
    """Answer the assignments that a change gives or takes, to whom, and at which scope."""
    match change:
        case RoleAssignment() | EligibleAssignment():
            yield change, change.principal, change.scope
        case Removed() | RoleDefinition():
            # Of what is gone, and of a role that was there, it is known before.
            for held in _taken(change, before):
                yield held, held.principal, held.scope
        case Membership() | MemberRemoved():
            index = after if isinstance(change, Membership) else before
            for held in _held_by_group(index, change.group):
                yield held, change.member, held.scope
        case ManagementGroup() | Subscription():
            for held in (one for node in _above(change.key, before, after) for one in node.held):
                yield held, held.principal, change.key
        case _:
            return


def _taken(change: Removed | RoleDefinition, before: PolicyIndex) -> Iterator[Held]:
    if isinstance(change, RoleDefinition):
        yield from (one for one in _everything(before.tree) if one.role == change.id)
    elif change.kind in _HELD:
        held = held_called(before, change.name)
        yield from () if held is None else (held,)


def _held_by_group(index: PolicyIndex, group: str) -> Iterator[Held]:
    groups = index.directory.identities(group)
    for scope in {scope for one in groups for scope in index.holders.get(one) or NOWHERE}:
        yield from _node(index, scope).held_by(groups)


def denied_by(change: Change, before: PolicyIndex, after: PolicyIndex) -> Iterator[tuple[str, str]]:
    """Answer to whom a change forbids or allows something again, and at which scope.

    Everyone is nobody in particular.
    """
    for deny in denies_of(change, before):
        yield from ((one, deny.scope) for one in deny.principals - {EVERYONE})
    if isinstance(change, Membership | MemberRemoved):
        index = after if isinstance(change, Membership) else before
        for one in index.directory.identities(change.group):
            yield from ((change.member, scope) for scope in index.denied.get(one) or NOWHERE)
    elif isinstance(change, ManagementGroup | Subscription):
        for node in _above(change.key, before, after):
            for deny in (one.assignment for one in node.denies):
                yield from ((one, change.key) for one in deny.principals - {EVERYONE})


def denies_of(change: Change, before: PolicyIndex) -> Iterator[DenyAssignment]:
    """Answer the deny assignment that a change makes or takes away."""
    if isinstance(change, DenyAssignment):
        yield change
    elif isinstance(change, Removed) and change.kind is Kind.DENY_ASSIGNMENT:
        for one in _node(before, parent(change.name)).denies:
            if one.assignment.name == change.name:
                yield one.assignment


def held_called(index: PolicyIndex, name: str) -> Held | None:
    """Answer the role or eligible assignment with this name."""
    return next((one for one in _node(index, parent(name)).held if one.name == name), None)


def _above(key: str, *indexes: PolicyIndex) -> Iterator[ScopeNode]:
    """Answer the nodes above something that moves, in each of some roots."""
    for index in indexes:
        for scope in index.directory.above(Scope.parse(key)):
            yield _node(index, scope)


def _everything(node: ScopeNode) -> Iterator[Held]:
    yield from node.held
    for child in node.children.values():
        yield from _everything(child)


def _node(index: PolicyIndex, scope: str) -> ScopeNode:
    return index.find(Scope.parse(scope)) or EMPTY_NODE
