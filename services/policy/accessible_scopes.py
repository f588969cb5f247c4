"""Where somebody may do something, in the whole tree: what `ListAccessible` answers.

The installation, tenants and management groups are scopes like any others, unless they are to be
replaced by the subscriptions in them. The answer is exact: what the entries cover is what
`evaluate` allows (case 91). Sharing is not part of it; views have lists of their own.

Entries come in the order of their scopes, found from those that name the principal and not by
looking through the tree: a page of them costs what it holds, however large the policy is.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from heapq import merge
from typing import Final, NamedTuple

from services.kernel.names import ROOT
from services.policy.conditions import NO_ATTRIBUTES, Attributes
from services.policy.holders import Scopes
from services.policy.index import PolicyIndex
from services.policy.model import EVERYONE, Plane
from services.policy.scopes import Scope
from services.policy.search import Search
from services.policy.tree import EMPTY_NODE, ScopeNode

# "0" is the character after "/".
_SUBSCRIPTIONS: Final = ("subscriptions/", "subscriptions0")
# No key begins so.
_NOWHERE: Final = "//"


class Effect(Enum):
    """What an entry does to the set of accessible resources, in the order at one scope."""

    ALLOWED = 1
    """The scope and everything below it are in."""
    DENIED = 2
    """The scope and everything below it are out."""
    DENIED_HERE = 3
    """The scope itself is out."""


class Entry(NamedTuple):
    """One entry of a list of what is accessible."""

    scope: str
    effect: Effect


class AccessibleScopes:
    """One question about where a principal may do an action, answered entry by entry.

    With `expand`, what lies above subscriptions comes out as the subscriptions that lie there,
    and each entry is a prefix of the names that it stands for.
    """

    def __init__(
        self,
        index: PolicyIndex,
        principal: str,
        action: str,
        *,
        under: Scope,
        now: datetime,
        plane: Plane = Plane.CONTROL,
        expand: bool = False,
        attributes: Attributes = NO_ATTRIBUTES,
    ) -> None:
        """`action` is folded, `principal` the key of one, known or not."""
        self._index: Final = index
        self._under: Final = under.key
        # Names do not tell what lies in a tenant or in a management group.
        self._is_above: Final = self._under != ROOT and _is_container(self._under)
        self._expand: Final = expand
        self._search: Final = Search(
            index, principal, action, plane=plane, now=now, attributes=attributes
        )
        identities = index.directory.identities(principal)
        # At no other scope than these anything changes for the principal.
        self._held: Final = _of_any(index.holders, identities)
        self._denied: Final = _of_any(index.denied, identities | {EVERYONE})
        self._known: dict[str, _Standing] = {}
        # How they stand above subscriptions, by the management group of these.
        self._levels: dict[str, _Standing] = {}
        self._inside: dict[str, bool] = {}

    @property
    def is_timeless(self) -> bool:
        """Whether nothing that was looked at so far depends on the moment."""
        return self._search.is_timeless

    def entries(self, after: Entry | None = None) -> Iterator[Entry]:
        """Answer the entries after one, in the order of (scope, effect)."""
        last, covered = "", _NOWHERE
        for scope in self._candidates("" if after is None else after.scope):
            # Several groups may hold something at one scope.
            if scope == last or scope.startswith(covered):
                continue
            last = scope
            if self._is_above and not self._is_inside(scope):
                continue
            for entry in self._found(scope):
                if after is None or (scope, entry.effect.value) > (after.scope, after.effect.value):
                    yield entry
                if entry.effect is Effect.ALLOWED and not self._is_denied_below(scope):
                    # What else is held there changes nothing.
                    covered = f"{scope}/"

    def _candidates(self, start: str) -> Iterator[str]:
        """Answer the scopes at which anything may change, in order, and the one asked under."""
        named = [*self._held, *self._denied]
        lists = [part for scopes in named for part in self._asked(scopes, start)]
        if self._under >= start:
            lists.append((self._under,))
        if self._expand and any(map(_reaches_above, named)):
            # What holds above subscriptions holds in each of them.
            lists += self._asked(self._index.directory.in_order, start)
        return merge(*lists)

    def _asked(self, scopes: Scopes, start: str) -> Iterator[Iterable[str]]:
        """Answer the parts of a sorted list that may lie below the scope asked under."""
        if self._under == ROOT:
            yield _between(scopes, start, "", None)
            return
        if not self._is_above:
            yield _between(scopes, start, f"{self._under}/", f"{self._under}0")
            return
        tenant = "/".join(self._under.split("/")[:2])
        for first, end in (_SUBSCRIPTIONS, (f"{tenant}/", f"{tenant}0")):
            yield _between(scopes, start, first, end)

    def _is_inside(self, scope: str) -> bool:
        """Whether a scope lies in the tenant or management group asked under."""
        top = "/".join(scope.split("/")[: 2 if scope.startswith("subscriptions/") else 4])
        known = self._inside.get(top)
        if known is None:
            above = self._index.directory.chain(Scope.parse(top))
            known = self._inside[top] = self._under in above
        return known

    def _is_denied_below(self, scope: str) -> bool:
        first, end = f"{scope}/", f"{scope}0"
        return any(bisect_left(one, first) < bisect_left(one, end) for one in self._denied)

    def _found(self, scope: str) -> Iterator[Entry]:
        """Answer what a scope contributes, by what is held and denied on its chain."""
        above = self._above(scope)
        if above.is_denied or (self._expand and _is_container(scope)):
            return
        here = self._below(above, scope)
        is_top = scope == self._under or (self._expand and _is_outermost(scope))
        if here.is_denied:
            if above.is_allowed and not is_top:
                yield Entry(scope, Effect.DENIED)
            return
        if here.is_allowed and (is_top or not above.is_allowed):
            yield Entry(scope, Effect.ALLOWED)
        if here.is_allowed and here.node.denies and self._search.denies(here.node, here=True):
            yield Entry(scope, Effect.DENIED_HERE)

    def _at(self, scope: str) -> "_Standing":
        """Answer how the principal stands at a scope."""
        known = self._known.get(scope)
        if known is None:
            known = self._known[scope] = self._below(self._above(scope), scope)
        return known

    def _above(self, scope: str) -> "_Standing":
        """Answer how the principal stands at what a scope lies in."""
        if scope == ROOT:
            return _NOTHING
        parent = _parent(scope)
        if parent != ROOT:
            return self._in_hierarchy(scope, parent) if _is_group(scope) else self._at(parent)
        subscription = self._index.directory.subscriptions.get(scope)
        if subscription is None:
            return self._at(ROOT)
        # All subscriptions of a management group have the same above them.
        known = self._levels.get(subscription.parent)
        if known is None:
            known = self._levels[subscription.parent] = self._in_hierarchy(scope, ROOT)
        return known

    def _in_hierarchy(self, scope: str, parent: str) -> "_Standing":
        """Answer the same where more is above a scope than its name says; that is its `parent`."""
        parsed = Scope.parse(scope)
        own = self._index.find(parsed)
        found = _NOTHING
        for node in self._index.chain(parsed):
            if node is not own:
                found = self._with(found, node)
        return found._replace(node=self._at(parent).node)

    def _below(self, above: "_Standing", scope: str) -> "_Standing":
        if scope == ROOT:
            return self._with(above, self._index.tree)
        head, _, id_ = scope.rpartition("/")
        step = f"{head.rpartition('/')[2]}/{id_}"
        return self._with(above, above.node.children.get(step, EMPTY_NODE))

    def _with(self, above: "_Standing", node: ScopeNode) -> "_Standing":
        search = self._search
        is_allowed = above.is_allowed or (bool(node.held) and search.grants(node))
        is_denied = above.is_denied or (bool(node.denies) and search.denies(node, here=False))
        return _Standing(node, is_allowed, is_denied)


class _Standing(NamedTuple):
    """How a principal stands at a scope: by what is held and denied there or above."""

    node: ScopeNode
    is_allowed: bool
    is_denied: bool


_NOTHING: Final = _Standing(EMPTY_NODE, is_allowed=False, is_denied=False)


def _of_any(names: Mapping[str, Scopes], identities: Iterable[str]) -> list[Scopes]:
    return [scopes for one in identities if (scopes := names.get(one))]


def _between(scopes: Scopes, start: str, first: str, end: str | None) -> Iterable[str]:
    """Answer what a sorted list has from `first` up to `end`, and from `start` on."""
    last = len(scopes) if end is None else bisect_left(scopes, end)
    # Not a slice: it would copy what no page may ever come to.
    return map(scopes.__getitem__, range(bisect_left(scopes, max(start, first)), last))


def _reaches_above(scopes: Scopes) -> bool:
    """Whether a sorted list may name something that subscriptions lie in."""
    first, end = _SUBSCRIPTIONS
    return scopes[0] < first or scopes[-1] >= end


def _parent(scope: str) -> str:
    # Less general than that of names, and called for every candidate.
    return scope.rpartition("/")[0].rpartition("/")[0] or ROOT


def _is_outermost(scope: str) -> bool:
    """Whether a scope is no container, and lies in one."""
    return scope.count("/") == 1 or (scope.startswith("tenants/") and _is_container(_parent(scope)))


def _is_container(scope: str) -> bool:
    """Whether a scope is one that subscriptions lie in."""
    return scope == ROOT or (
        scope.startswith("tenants/") and (scope.count("/") == 1 or _is_group(scope))
    )


def _is_group(scope: str) -> bool:
    """Whether a scope is a management group."""
    return scope.startswith("tenants/") and scope.split("/")[2:-1] == ["managementgroups"]
