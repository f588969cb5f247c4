"""What changes of the policy would change for whom: who could do more, who less.

Compared is what each principal that a change concerns may do at the scope that it concerns,
before all changes and after them. An eligible assignment counts as if it were activated, one
that begins later as if it had begun, and a condition as if it held where it cannot be known:
all that may be gained is told.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from services.policy.actions import KNOWN, ActionRegistry
from services.policy.concerned import denied_by, denies_of, held_by, held_called
from services.policy.conditions import PRESUMED
from services.policy.findings import Finding, Whom
from services.policy.index import PolicyIndex
from services.policy.model import (
    EVERYONE,
    Change,
    Permissions,
    Plane,
    Removed,
    RoleAssignment,
    SharingGrant,
    Transaction,
)
from services.policy.scopes import Scope
from services.policy.search import Search
from services.policy.sharing_difference import sharing_differences
from services.policy.tree import Held

Granted = frozenset[tuple[Plane, str]]


def differences(
    roots: Sequence[PolicyIndex],
    steps: Sequence[Sequence[Change]],
    *,
    now: datetime,
    registry: ActionRegistry = KNOWN,
) -> list[Finding]:
    """Answer what steps would change, ordered: `roots` are those before, between and after them.

    Known are roles, assignments of each kind, memberships, the hierarchy, and sharing grants;
    other changes concern nobody by themselves.
    """
    names = {
        held.name
        for step, changes in enumerate(steps)
        for change in changes
        for held, _, _ in held_by(change, roots[step], roots[step + 1])
    }
    presumed = [_presumed(root, names, now) for root in roots]
    pairs: set[tuple[str, str]] = set()
    found: list[Finding] = []
    shared: dict[str, int] = {}
    for step, changes in enumerate(steps):
        before, after = roots[step], roots[step + 1]
        for change in changes:
            pairs.update((who, scope) for _, who, scope in held_by(change, before, after))
            pairs.update(denied_by(change, before, after))
            found.extend(_of_everyone(change, before, step))
            if isinstance(change, SharingGrant):
                shared[change.gallery] = step
    for principal, scope in pairs:
        found.extend(_between(presumed, principal, scope, now=now, registry=registry))
    first, last = roots[0], roots[-1]
    for gallery, step in shared.items():
        grants = (one.sharing.of_gallery(gallery) for one in (first, last))
        found.extend(sharing_differences(gallery, *grants, directory=last.directory, step=step))
    return sorted(found, key=lambda one: one.place)


def _between(
    roots: Sequence[PolicyIndex],
    principal: str,
    scope: str,
    *,
    now: datetime,
    registry: ActionRegistry,
) -> Iterator[Finding]:
    """Answer what a principal would gain and lose at a scope, by the step that does it last."""
    may = [
        _granted(one, principal, Scope.parse(scope), now=now, registry=registry) for one in roots
    ]
    for gained, differs in ((True, may[-1] - may[0]), (False, may[0] - may[-1])):
        by_step: dict[int, list[tuple[Plane, str]]] = {}
        for one in differs:
            step = max(
                step
                for step in range(len(roots) - 1)
                if (one in may[step]) is not (one in may[step + 1])
            )
            by_step.setdefault(step, []).append(one)
        for step, actions in by_step.items():
            named = {
                plane: tuple(sorted(action for of, action in actions if of is plane))
                for plane in Plane
            }
            permissions = Permissions(named[Plane.CONTROL], data_actions=named[Plane.DATA])
            yield Finding(gained, Whom.PRINCIPAL, principal, scope, permissions, step)


def _granted(
    index: PolicyIndex,
    principal: str,
    scope: Scope,
    *,
    now: datetime,
    registry: ActionRegistry,
) -> Granted:
    """Answer what a principal may do at a scope."""
    chain = index.chain(scope)
    found: set[tuple[Plane, str]] = set()
    for plane in Plane:
        for name in registry.names(plane):
            search = Search(
                index,
                principal,
                registry.find(name, plane) or name,
                plane=plane,
                now=now,
                attributes=PRESUMED,
            )
            if search.grant(chain).allowed and search.denial(chain, scope.key) is None:
                found.add((plane, name))
    return frozenset(found)


def _of_everyone(change: Change, before: PolicyIndex, step: int) -> Iterator[Finding]:
    """Answer what a deny assignment for everyone takes, or gives back when it goes."""
    gained = isinstance(change, Removed)
    for deny in denies_of(change, before):
        if EVERYONE in deny.principals:
            for one in deny.permissions:
                yield Finding(gained, Whom.EVERYONE, "", deny.scope, one, step)


def _presumed(root: PolicyIndex, names: Iterable[str], now: datetime) -> PolicyIndex:
    """Answer a root with some assignments as if they had begun and were active."""
    held = (held_called(root, name) for name in names)
    active = tuple(_active(one, now) for one in held if one is not None)
    return root.apply(Transaction(root.revision + 1, active)) if active else root


def _active(held: Held, now: datetime) -> RoleAssignment:
    start = None if held.start is None or held.start > now else held.start
    return RoleAssignment(
        held.name,
        held.scope,
        held.principal,
        held.role,
        start=start,
        end=held.end,
        condition=held.condition,
        revision=held.revision,
    )
