"""Where a caller may do something: name prefixes for one SQL statement (authorization.md 2).

The answer is exact: what an allowed prefix covers and no denied one does is what
`evaluate` allows (case 91). Sharing is not part of it; views have lists of their own.

Entries come in the order of their scopes, found from those that name the caller and not by
looking through the tree: a page of them costs what it holds, however large the policy is.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from heapq import merge
from itertools import islice
from typing import Final, NamedTuple

from services.kernel.names import ROOT, prefixes
from services.policy.actions import KNOWN, ActionRegistry
from services.policy.holders import NOWHERE, Scopes
from services.policy.index import PolicyIndex
from services.policy.model import EVERYONE, Plane
from services.policy.scopes import Scope
from services.policy.search import Search
from services.policy.tree import EMPTY_NODE, ScopeNode

#: How many lists a root remembers, and how long they may be.
_REMEMBERED: Final = 256
_REMEMBERED_LENGTH: Final = 10_000


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


@dataclass(frozen=True, slots=True)
class Accessible:
    """Keys of scopes in subscriptions, each list sorted.

    In are `allowed` and everything below, less `denied` and everything below, less the
    scopes of `denied_here` themselves. No allowed scope lies below another, and no denied
    one outside the allowed ones.
    """

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    denied_here: tuple[str, ...] = ()

    @staticmethod
    def of(entries: Iterable[Entry]) -> "Accessible":
        """Sort entries by what they do."""
        found: dict[Effect, list[str]] = {effect: [] for effect in Effect}
        for scope, effect in entries:
            found[effect].append(scope)
        return Accessible(*(tuple(sorted(found[effect])) for effect in Effect))

    def covers(self, key: str) -> bool:
        """Whether the resource with this key is in."""
        chain = prefixes(key)
        return (
            key not in self.denied_here
            and any(one in self.allowed for one in chain)
            and not any(one in self.denied for one in chain)
        )

    def where(self, holds: Callable[[str], bool]) -> "Accessible":
        """Answer this for the subscriptions of which `holds` says so alone."""
        return Accessible.of(entry for entry in self.entries() if holds(entry.scope))

    def entries(self) -> Iterator[Entry]:
        """Answer the entries, those of one effect after the other."""
        for effect, scopes in zip(
            Effect, (self.allowed, self.denied, self.denied_here), strict=True
        ):
            yield from (Entry(scope, effect) for scope in scopes)


NOTHING: Final = Accessible()


def united(parts: Iterable[Accessible]) -> Accessible:
    """Put together what is accessible in different subscriptions."""
    return Accessible.of(entry for one in parts for entry in one.entries())


def accessible(
    index: PolicyIndex,
    caller: str,
    action: str,
    *,
    under: str = ROOT,
    now: datetime,
    plane: Plane = Plane.CONTROL,
    registry: ActionRegistry = KNOWN,
) -> Accessible:
    """Answer where in subscriptions the caller may do `action`, at or below `under`.

    What is granted above subscriptions comes out as the subscriptions that lie there.

    Args:
        index: the policy.
        caller: the key of the principal that asks.
        action: a known action.
        under: `/`, a subscription or something in one.
        now: the time of the evaluator's clock, aware.
        plane: the plane of the action.
        registry: the actions that may be asked about.

    Raises:
        InvalidName: `under` is no scope.
        ValueError: `under` lies outside subscriptions, or the action is not known.
    """
    listing = Listing(index, caller, action, under=under, now=now, plane=plane, registry=registry)
    question = (caller, listing.action, plane, listing.under.key)
    known = index.lists.get(question)
    if isinstance(known, Accessible):
        return known
    found = Accessible.of(listing.entries())
    length = len(found.allowed) + len(found.denied) + len(found.denied_here)
    if listing.is_timeless and length <= _REMEMBERED_LENGTH:
        if len(index.lists) >= _REMEMBERED:
            index.lists.clear()
        index.lists[question] = found
    return found


class Listing:
    """One question about where a caller may do an action, answered entry by entry.

    For `ListAccessible` with `expand_subscriptions`, whose pages are of one root each: what goes
    on after an entry of the same root is the same list.
    """

    def __init__(
        self,
        index: PolicyIndex,
        caller: str,
        action: str,
        *,
        under: str = ROOT,
        now: datetime,
        plane: Plane = Plane.CONTROL,
        registry: ActionRegistry = KNOWN,
    ) -> None:
        """Arguments and errors are those of `accessible`."""
        known = registry.find(action, plane)
        if known is None:
            raise ValueError(f"{action} is not among the known actions")
        self.action: Final = known
        self.under: Final = Scope.parse(under)
        if self.under.subscription is None and self.under.steps:
            raise ValueError(f"{under} lies in no subscription")
        self._index: Final = index
        self._search: Final = Search(index, caller, known, plane=plane, now=now)
        self._identities: Final = index.directory.identities(caller)
        self._top: Final = self.under.key
        # By scope, and by management group for what is above subscriptions.
        self._known: dict[str, _Standing] = {}

    @property
    def is_timeless(self) -> bool:
        """Whether nothing that was looked at so far depends on the moment."""
        return self._search.is_timeless

    def page(self, size: int, after: Entry | None = None) -> Sequence[Entry]:
        """Answer the next `size` entries in the order of (scope, effect); fewer at the end."""
        return list(islice(self.entries(after), size))

    def entries(self, after: Entry | None = None) -> Iterator[Entry]:
        """Answer the entries after one, in the order of (scope, effect)."""
        last = ""
        for scope in self._candidates("" if after is None else after.scope):
            # Several groups may hold something at one scope.
            if scope == last:
                continue
            last = scope
            for entry in self._found(scope):
                if after is None or (scope, entry.effect.value) > (after.scope, after.effect.value):
                    yield entry

    def _candidates(self, start: str) -> Iterator[str]:
        """Answer the scopes at which anything may change for the caller, in order."""
        index = self._index
        lists: list[Iterable[str]] = [
            self._below(scopes, start)
            for names, identities in (
                (index.holders, self._identities),
                (index.denied, self._identities | {EVERYONE}),
            )
            for one in identities
            if (scopes := names.get(one) or NOWHERE)
        ]
        if self.under.steps:
            if self.under.key >= start:
                lists.append((self.under.key,))
        elif self._is_named_above(index):
            # What holds above subscriptions holds in each of them.
            lists.append(self._below(index.directory.in_order, start))
        return merge(*lists)

    def _below(self, scopes: Scopes, start: str) -> Iterable[str]:
        """Answer the scopes of a sorted list that are asked for, from one on."""
        # "0" is the character after "/".
        key = self.under.key if self.under.steps else "subscriptions"
        first = bisect_left(scopes, max(start, f"{key}/"))
        # Not a slice: it would copy what no page may ever come to.
        return map(scopes.__getitem__, range(first, bisect_left(scopes, f"{key}0")))

    def _is_named_above(self, index: PolicyIndex) -> bool:
        return any(
            scopes and (scopes[0] < "subscriptions/" or scopes[-1] >= "subscriptions0")
            for names, identities in (
                (index.holders, self._identities),
                (index.denied, self._identities | {EVERYONE}),
            )
            for one in identities
            if (scopes := names.get(one))
        )

    def _found(self, scope: str) -> Iterator[Entry]:
        """Answer what a scope contributes, by what is held and denied on its chain."""
        above = self._above(scope)
        if above.is_denied:
            return
        here = self._at(scope, above)
        is_top = scope == self._top or (self._top == ROOT and scope.count("/") == 1)
        if here.is_denied:
            if above.is_allowed and not is_top:
                yield Entry(scope, Effect.DENIED)
            return
        if here.is_allowed and (is_top or not above.is_allowed):
            yield Entry(scope, Effect.ALLOWED)
        if here.is_allowed and here.node.denies and self._search.denies(here.node, here=True):
            yield Entry(scope, Effect.DENIED_HERE)

    def _at(self, scope: str, above: "_Standing | None" = None) -> "_Standing":
        """Answer how the caller stands at a scope in a subscription."""
        known = self._known.get(scope)
        if known is None:
            above = above or self._above(scope)
            node = above.node.children.get(_step(scope), EMPTY_NODE)
            known = self._known[scope] = self._below_of(above, node)
        return known

    def _above(self, scope: str) -> "_Standing":
        """Answer how the caller stands at what a scope lies in."""
        parent = scope.rpartition("/")[0].rpartition("/")[0]
        if parent:
            return self._at(parent)
        subscription = self._index.directory.subscriptions.get(scope)
        # All subscriptions of a management group have the same above them.
        known = self._known.get(group := "" if subscription is None else subscription.parent)
        if known is None:
            parsed = Scope.parse(scope)
            own = self._index.find(parsed)
            known = _Standing(self._index.tree, is_allowed=False, is_denied=False)
            for node in self._index.chain(parsed):
                if node is not own:
                    known = self._below_of(known, node)
            # The last one of a chain is the tree, in which subscriptions are.
            self._known[group] = known
        return known

    def _below_of(self, above: "_Standing", node: ScopeNode) -> "_Standing":
        search = self._search
        is_allowed = above.is_allowed or (bool(node.held) and search.grants(node))
        is_denied = above.is_denied or (bool(node.denies) and search.denies(node, here=False))
        return _Standing(node, is_allowed, is_denied)


class _Standing(NamedTuple):
    """How a caller stands at a scope: by what is held and denied there or above."""

    node: ScopeNode
    is_allowed: bool
    is_denied: bool


def _step(scope: str) -> str:
    """Answer the last collection and id of a key."""
    head, _, id_ = scope.rpartition("/")
    return f"{head.rpartition('/')[2]}/{id_}"
