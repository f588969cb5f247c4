"""Questions about a world: who, what, where, when, and how it is spelled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from services.policy.actions import KNOWN, ActionRegistry
from services.policy.model import DenyAssignment, Plane
from tests.unit.policy.oracle.conditions import ACTIONS, attributes
from tests.unit.policy.oracle.worlds import Held, World, view_of

#: Actions on what lies in resources; the last one is an action of either plane, so that it shows
#: where the planes are mixed.
DATA_ACTIONS: Final = (
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Microsoft.Compute/disks/download/action",
    "Microsoft.Compute/galleries/read",
)
REGISTRY: Final = ActionRegistry(KNOWN.names(), DATA_ACTIONS)
VIEW_READS: Final = {
    collection.lower(): tuple(
        f"Microsoft.Compute/locations/{collection}{below}/read"
        for below in ("", "/images", "/images/versions")
    )
    for collection in ("sharedGalleries", "communityGalleries")
}
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Asked:
    """One question, in canonical form; `spelled` is how it is sent."""

    caller: str
    action: str
    scope: str
    now: datetime
    plane: Plane = Plane.CONTROL
    spelled: tuple[str, str] = ("", "")
    attributes: tuple[tuple[str, str, str], ...] = ()

    @property
    def sent_action(self) -> str:
        return self.spelled[0] or self.action

    @property
    def sent_scope(self) -> str:
        return self.spelled[1] or self.scope


def any_case(random: Random, text: str) -> str:
    """The same name to whoever compares without regard to case."""
    return "".join(random.choice((one.lower(), one.upper())) for one in text)


def spelling(random: Random, action: str, scope: str) -> tuple[str, str]:
    """Another way to write a question, with zeros before the numbers of a version."""
    if random.random() < 0.7:
        return action, scope
    segments = scope.split("/")
    for at in range(0, len(segments) - 1, 2):
        if segments[at] == "versions":
            segments[at + 1] = ".".join("0" + part for part in segments[at + 1].split("."))
    return any_case(random, action), any_case(random, "/".join(segments))


class Asker:
    """Asks about a world, mostly where something is held there or shared with it."""

    def __init__(
        self,
        random: Random,
        world: World,
        scopes: Sequence[str],
        moments: Iterable[datetime],
        *,
        planes: Sequence[Plane] = (*[Plane.CONTROL] * 9, Plane.DATA),
    ) -> None:
        self._random = random
        self._world = world
        self._scopes = scopes
        self._moments = sorted({at + by for at in moments for by in (-TICK, TICK * 0, TICK)})
        self._callers = [*world.principals, "tenants/t/users/stranger"]
        self._held: list[Held] = [*world.assignments.values(), *world.denies.values()]
        self._held += world.eligibles.values()
        self._planes = planes
        self._last: Asked | None = None

    def ask(self) -> Asked:
        """One question; now and then the one before, at another moment."""
        now = self._random.choice(self._moments)
        if self._last is not None and self._random.random() < 0.2:
            asked = replace(self._last, now=now)
        else:
            asked = self._another(now)
        self._last = asked
        return asked

    def _another(self, now: datetime) -> Asked:
        caller, scope, patterns = self._drawn()
        plane = self._random.choice(self._planes)
        action = self._action(scope, plane, patterns)
        told = attributes(self._random) if self._random.random() < 0.5 else ()
        spelled = spelling(self._random, action, scope)
        return Asked(caller, action, scope, now, plane, spelled=spelled, attributes=told)

    def _drawn(self) -> tuple[str, str, list[str]]:
        chance = self._random.random()
        if chance < 0.6 and self._held:
            return self._directed()
        if chance < 0.8 and self._world.grants:
            return self._at_a_view()
        return self._random.choice(self._callers), self._random.choice(self._scopes), []

    def _directed(self) -> tuple[str, str, list[str]]:
        """Somebody who holds something, at or below where it is held, and what it is about."""
        held = self._random.choice(self._held)
        if isinstance(held, DenyAssignment):
            wanted, permissions = self._random.choice(sorted(held.principals)), held.permissions
        else:
            wanted, permissions = held.principal, self._world.roles[held.role].permissions
        callers = [one for one in self._callers if wanted in self._world.holders(one)]
        scopes = [one for one in self._scopes if held.scope in self._world.chain(one)]
        patterns = [pattern for one in permissions for pattern in one.actions + one.data_actions]
        return (
            self._random.choice(callers or self._callers),
            self._random.choice(scopes or self._scopes),
            patterns,
        )

    def _at_a_view(self) -> tuple[str, str, list[str]]:
        """Somebody who holds a role in a subscription, at a view there."""
        views = [one for one in self._scopes if view_of(one) is not None]
        scope = self._random.choice(views)
        above = self._world.chain(scope)
        held = [one for one in self._world.assignments.values() if one.scope in above]
        callers = [
            caller
            for caller in self._callers
            if any(one.principal in self._world.holders(caller) for one in held)
        ]
        return self._random.choice(callers or self._callers), scope, []

    def _action(self, scope: str, plane: Plane, patterns: list[str]) -> str:
        view = view_of(scope)
        if view is not None and plane is Plane.CONTROL and self._random.random() < 0.9:
            return self._random.choice(VIEW_READS[view[0]])
        known = REGISTRY.names(plane)
        prefixes = tuple(one.partition("*")[0].lower() for one in patterns)
        meant = [one for one in known if one.lower().startswith(prefixes)] if prefixes else []
        if plane is Plane.CONTROL and self._random.random() < 0.15:
            return self._random.choice(ACTIONS)
        if "/galleries/" in scope and self._random.random() < 0.5:
            meant = [one for one in meant or known if "/galleries" in one]
        return self._random.choice(meant or known)
