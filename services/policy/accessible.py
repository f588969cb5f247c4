"""Where a caller may do something: name prefixes for one SQL statement (authorization.md 2).

The answer is exact: what an allowed prefix covers and no denied one does is what
`evaluate` allows (case 91). Sharing is not part of it; views have lists of their own.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.kernel.names import ROOT, prefixes
from services.policy.accessible_scopes import AccessibleScopes, Effect, Entry
from services.policy.actions import KNOWN, ActionRegistry
from services.policy.index import PolicyIndex
from services.policy.model import Plane
from services.policy.scopes import Scope

#: How many lists a root remembers, and how long they may be.
_REMEMBERED: Final = 256
_REMEMBERED_LENGTH: Final = 10_000


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
    folded, scope = registry.find(action, plane), Scope.parse(under)
    if folded is None:
        raise ValueError(f"{action} is not among the known actions")
    if scope.subscription is None and scope.steps:
        raise ValueError(f"{under} lies in no subscription")
    question = (caller, folded, plane, scope.key)
    known = index.lists.get(question)
    if isinstance(known, Accessible):
        return known
    listing = AccessibleScopes(
        index, caller, folded, under=scope, now=now, plane=plane, expand=True
    )
    entries = (one for one in listing.entries() if one.scope.startswith("subscriptions/"))
    found = Accessible.of(entries)
    length = len(found.allowed) + len(found.denied) + len(found.denied_here)
    if listing.is_timeless and length <= _REMEMBERED_LENGTH:
        if len(index.lists) >= _REMEMBERED:
            index.lists.clear()
        index.lists[question] = found
    return found
