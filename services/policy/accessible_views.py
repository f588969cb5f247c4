"""Where somebody may read views: shared and community galleries in their subscriptions.

Sharing has two sides (authorization.md 1.4): an entry is a gallery whose grant covers a
subscription in which the action of the view is held. `-` stands for every location; an entry
with a location is what an assignment or a deny below it makes different there.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from services.kernel.names import ROOT, WILDCARD
from services.policy.accessible_scopes import Effect, Entry
from services.policy.conditions import NO_ATTRIBUTES, Attributes
from services.policy.holders import NOWHERE
from services.policy.index import PolicyIndex
from services.policy.model import Plane, Subscription
from services.policy.scopes import Scope, View, ViewKind
from services.policy.search import Search
from services.policy.tree import ScopeNode


def view_kind(action: str) -> ViewKind | None:
    """Answer the kind of view that a folded action reads, None for any other action."""
    for kind in ViewKind:
        if action.startswith(f"microsoft.compute/locations/{kind.value}/"):
            return kind
    return None


class AccessibleViews:
    """One question about which views a principal may read, answered entry by entry."""

    def __init__(
        self,
        index: PolicyIndex,
        principal: str,
        action: str,
        *,
        kind: ViewKind,
        under: Scope,
        now: datetime,
        attributes: Attributes = NO_ATTRIBUTES,
    ) -> None:
        """`action` is folded and of `kind`, `principal` the key of one, known or not."""
        self._index: Final = index
        self._kind: Final = kind
        self._under: Final = under
        self._identities: Final = index.directory.identities(principal)
        self._search: Final = Search(
            index, principal, action, plane=Plane.CONTROL, now=now, attributes=attributes
        )

    def entries(self, after: Entry | None = None) -> Iterator[Entry]:
        """Answer the entries after one, in the order of (scope, effect)."""
        start = "" if after is None else "/".join(after.scope.split("/")[:2])
        # In the order of what lies in them: "-" comes before "/".
        for key in sorted(self._subscriptions(), key=_inside):
            consumer = self._index.directory.subscriptions.get(key)
            if consumer is None or _inside(key) < _inside(start):
                continue
            for entry in sorted(self._in(consumer), key=_place):
                if after is None or _place(entry) > _place(after):
                    yield entry

    def _subscriptions(self) -> set[str]:
        """Answer the subscriptions asked about in which anything may be held."""
        named = [
            scope for one in self._identities for scope in self._index.holders.get(one) or NOWHERE
        ]
        found = {
            "/".join(scope.split("/")[:2]) for scope in named if scope.startswith("subscriptions/")
        }
        directory = self._index.directory
        if any(not scope.startswith("subscriptions/") for scope in named):
            found.update(directory.in_order)
        under = self._under
        if under.subscription is not None:
            return found & {under.subscription}
        if under.key == ROOT:
            return found
        return {one for one in found if under.key in directory.above(Scope.parse(one))}

    def _in(self, consumer: Subscription) -> Iterator[Entry]:
        top = Scope.parse(consumer.key)
        chain = self._index.chain(top)
        if any(self._search.denies(node, here=False) for node in chain):
            return
        is_held = any(self._search.grants(node) for node in chain)
        ids = self._ids(consumer)
        if self._under.subscription is not None and len(self._under.steps) > 1:
            yield from self._below_under(consumer, ids)
            return
        node = self._index.find(top)
        for step in (WILDCARD, *(node.children if node is not None else ())):
            location = step.removeprefix("locations/")
            if step != WILDCARD and location == step:
                continue
            for one in ids:
                scope = f"{consumer.key}/locations/{location}/{self._kind.value}/{one}"
                if step != WILDCARD:
                    yield from self._at(scope, is_listed=is_held)
                elif is_held:
                    yield Entry(scope, Effect.ALLOWED)

    def _below_under(self, consumer: Subscription, ids: list[str]) -> Iterator[Entry]:
        """Answer what lies at or below a scope in a subscription: in one location at most."""
        under = self._under
        if under.view is not None:
            # By its other name too.
            if under.view.kind is self._kind and self._is_open(under.view, consumer):
                yield from self._at(under.key, is_listed=False)
        elif len(under.steps) == 2 and under.steps[1].startswith("locations/"):
            for one in ids:
                yield from self._at(f"{under.key}/{self._kind.value}/{one}", is_listed=False)

    def _ids(self, consumer: Subscription) -> list[str]:
        """Answer the ids by which galleries are open to a consumer, each that of one."""
        sharing = self._index.sharing
        if self._kind is ViewKind.SHARED:
            named = {grant.shared_id for grant in sharing.shared_with(consumer)}
        else:
            named = {grant.public_name for grant in sharing.communities(consumer)}
        views = (View(self._kind, one, consumer.key) for one in named if one)
        return [view.id for view in views if self._is_open(view, consumer)]

    def _is_open(self, view: View, consumer: Subscription) -> bool:
        return self._index.sharing.resolve(view, consumer) is not None

    def _at(self, scope: str, *, is_listed: bool) -> Iterator[Entry]:
        """Answer what a view and what lies below it contribute; `is_listed` where it is in."""
        parsed = Scope.parse(scope)
        own = self._index.find(parsed)
        chain = self._index.chain(parsed)
        if any(self._search.denies(node, here=False) for node in chain):
            if is_listed:
                yield Entry(scope, Effect.DENIED)
            return
        is_in = is_listed or any(self._search.grants(node) for node in chain)
        if is_in and not is_listed:
            yield Entry(scope, Effect.ALLOWED)
        if own is not None:
            if is_in and self._search.denies(own, here=True):
                yield Entry(scope, Effect.DENIED_HERE)
            yield from self._below(scope, own, is_in=is_in)

    def _below(self, scope: str, node: ScopeNode, *, is_in: bool) -> Iterator[Entry]:
        for step, child in node.children.items():
            name = f"{scope}/{step}"
            if self._search.denies(child, here=False):
                if is_in:
                    yield Entry(name, Effect.DENIED)
                continue
            here = is_in or self._search.grants(child)
            if here and not is_in:
                yield Entry(name, Effect.ALLOWED)
            if here and self._search.denies(child, here=True):
                yield Entry(name, Effect.DENIED_HERE)
            yield from self._below(name, child, is_in=here)


def _inside(subscription: str) -> str:
    return f"{subscription}/"


def _place(entry: Entry) -> tuple[str, int]:
    return entry.scope, entry.effect.value
