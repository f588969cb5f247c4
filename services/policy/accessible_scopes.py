"""Where somebody may do something, in the whole tree: what `ListAccessible` answers.

`accessible` answers subscriptions and what lies in them, for SQL; here the installation,
tenants and management groups are scopes like any others, unless they are to be replaced by the
subscriptions in them. What an entry means is the same, and the answer is as exact (case 91).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from typing import Final

from services.kernel.names import ROOT, parent
from services.policy.accessible import Effect, Entry
from services.policy.conditions import NO_ATTRIBUTES, Attributes
from services.policy.holders import NOWHERE
from services.policy.index import PolicyIndex
from services.policy.model import EVERYONE, Plane
from services.policy.scopes import Scope
from services.policy.search import Search
from services.policy.tree import EMPTY_NODE, ScopeNode


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
        self._under: Final = under
        self._expand: Final = expand
        self._identities: Final = index.directory.identities(principal)
        self._search: Final = Search(
            index, principal, action, plane=plane, now=now, attributes=attributes
        )
        self._known: dict[ScopeNode, tuple[bool, bool]] = {}
        self._inside: dict[str, bool] = {}

    def entries(self, after: Entry | None = None) -> Iterator[Entry]:
        """Answer the entries after one, in the order of (scope, effect)."""
        last = None
        for scope in self._candidates("" if after is None else after.scope):
            # Several groups may hold something at one scope.
            if scope == last:
                continue
            last = scope
            if not self._is_asked(scope):
                continue
            for entry in self._found(scope):
                if after is None or (scope, entry.effect.value) > (after.scope, after.effect.value):
                    yield entry

    def _candidates(self, start: str) -> Iterator[str]:
        """Answer the scopes at which anything may change, in order, and those asked for."""
        lists: list[Iterable[str]] = []
        named_above = False
        for names, identities in (
            (self._index.holders, self._identities),
            (self._index.denied, self._identities | {EVERYONE}),
        ):
            for scopes in (names.get(one) or NOWHERE for one in identities):
                # Not a slice: it would copy what no page may ever come to.
                lists.append(
                    map(scopes.__getitem__, range(bisect_left(scopes, start), len(scopes)))
                )
                named_above |= bool(scopes) and (
                    scopes[0] < "subscriptions/" or scopes[-1] >= "subscriptions0"
                )
        if self._under.key >= start:
            lists.append((self._under.key,))
        if self._expand and named_above:
            # What holds above subscriptions holds in each of them.
            subscriptions = self._index.directory.in_order
            first = bisect_left(subscriptions, start)
            lists.append(map(subscriptions.__getitem__, range(first, len(subscriptions))))
        return merge(*lists)

    def _is_asked(self, scope: str) -> bool:
        """Whether a scope lies at or below the one asked under, by the hierarchy."""
        under = self._under.key
        if under in {ROOT, scope} or scope.startswith(f"{under}/"):
            return True
        if not under.startswith("tenants/"):
            return False
        top = "/".join(scope.split("/")[: 2 if scope.startswith("subscriptions/") else 4])
        known = self._inside.get(top)
        if known is None:
            above = self._index.directory.above(Scope.parse(top)) if top != ROOT else ()
            known = self._inside[top] = under in above
        return known

    def _found(self, scope: str) -> Iterator[Entry]:
        """Answer what a scope contributes, by what is held and denied on its chain."""
        if self._expand and _is_container(scope):
            return
        parsed = Scope.parse(scope)
        own = self._index.find(parsed)
        above = [node for node in self._index.chain(parsed) if node is not own]
        if any(self._says(node)[1] for node in above):
            return
        is_above = any(self._says(node)[0] for node in above)
        is_top = scope == self._under.key or (self._expand and _is_container(parent(scope)))
        grants, denies = self._says(own or EMPTY_NODE)
        if denies:
            if is_above and not is_top:
                yield Entry(scope, Effect.DENIED)
            return
        is_in = is_above or grants
        if is_in and (is_top or not is_above):
            yield Entry(scope, Effect.ALLOWED)
        if is_in and own is not None and self._search.denies(own, here=True):
            yield Entry(scope, Effect.DENIED_HERE)

    def _says(self, node: ScopeNode) -> tuple[bool, bool]:
        """Answer whether a node grants the action, and whether it denies it from there on."""
        known = self._known.get(node)
        if known is None:
            grants = bool(node.held) and self._search.grants(node)
            denies = bool(node.denies) and self._search.denies(node, here=False)
            known = self._known[node] = (grants, denies)
        return known


def _is_container(scope: str) -> bool:
    """Whether a scope is one that subscriptions lie in."""
    if scope == ROOT:
        return True
    parts = scope.split("/")
    return parts[0] == "tenants" and (
        len(parts) == 2 or (len(parts) == 4 and parts[2] == "managementgroups")
    )
