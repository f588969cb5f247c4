"""Where a caller may do something: name prefixes for one SQL statement (authorization.md 2).

The answer is exact: what an allowed prefix covers and no denied one does is what
`evaluate` allows (case 91). Sharing is not part of it; views have lists of their own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.kernel.names import ROOT, prefixes
from services.policy.actions import KNOWN, ActionRegistry
from services.policy.index import PolicyIndex
from services.policy.model import Plane
from services.policy.scopes import Scope
from services.policy.search import Search
from services.policy.tree import EMPTY_NODE, ScopeNode


@dataclass(frozen=True, slots=True)
class Accessible:
    """Keys of scopes in subscriptions, each list sorted.

    In are `allowed` and everything below, less `denied` and everything below, less the
    scopes of `denied_here` themselves. No allowed scope lies below another.
    """

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    denied_here: tuple[str, ...] = ()

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
        allowed, denied, denied_here = (
            tuple(filter(holds, scopes)) for scopes in (self.allowed, self.denied, self.denied_here)
        )
        return Accessible(allowed, denied, denied_here)


NOTHING: Final = Accessible()


def united(parts: Iterable[Accessible]) -> Accessible:
    """Put together what is accessible in different subscriptions."""
    allowed: list[str] = []
    denied: list[str] = []
    denied_here: list[str] = []
    for one in parts:
        allowed += one.allowed
        denied += one.denied
        denied_here += one.denied_here
    return Accessible(tuple(sorted(allowed)), tuple(sorted(denied)), tuple(sorted(denied_here)))


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
    known = registry.find(action, plane)
    if known is None:
        raise ValueError(f"{action} is not among the known actions")
    scope = Scope.parse(under)
    if scope.subscription is None and scope.steps:
        raise ValueError(f"{under} lies in no subscription")
    walk = _Walk(index, Search(index, caller, known, plane=plane, now=now))
    starts = [scope] if scope.steps else map(Scope.parse, index.directory.subscriptions)
    for start in starts:
        walk.begin(start)
    return Accessible(
        tuple(sorted(walk.allowed)), tuple(sorted(walk.denied)), tuple(sorted(walk.denied_here))
    )


@dataclass(slots=True)
class _Walk:
    """Goes down from scopes whose surroundings are known."""

    index: PolicyIndex
    search: Search
    allowed: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    denied_here: list[str] = field(default_factory=list)

    def begin(self, scope: Scope) -> None:
        """Look at the chain of `scope`, then walk from it."""
        chain = self.index.chain(scope)
        if any(self.search.denies(one, here=False) for one in chain):
            return
        is_allowed = any(self._grants(one) for one in chain)
        if is_allowed:
            self.allowed.append(scope.key)
        self._down(self.index.find(scope) or EMPTY_NODE, scope.key, is_allowed=is_allowed)

    def _down(self, node: ScopeNode, key: str, *, is_allowed: bool) -> None:
        if self.search.denies(node, here=False):
            if is_allowed:
                self.denied.append(key)
            return
        if not is_allowed and self._grants(node):
            self.allowed.append(key)
            is_allowed = True
        if is_allowed and self.search.denies(node, here=True):
            self.denied_here.append(key)
        for step, child in node.children.items():
            self._down(child, f"{key}/{step}", is_allowed=is_allowed)

    def _grants(self, node: ScopeNode) -> bool:
        return self.search.grant((node,)).allowed
