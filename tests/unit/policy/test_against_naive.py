"""Both evaluators answer alike in random small worlds, full of coincidences."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from services.policy.actions import KNOWN, ActionRegistry
from services.policy.decision import Reason
from services.policy.model import (
    EVERYONE,
    Activation,
    Entity,
    Permissions,
    Plane,
    RoleDefinition,
    SharingMode,
)
from tests.unit.policy import worlds
from tests.unit.policy.naive import Naive
from tests.unit.policy.worlds import NOW, ask, assign, deny, eligible, grant, member

SHARED_VIEW = f"{worlds.CONSUMER}/locations/l/sharedgalleries/opaque-1"
VIEWS = [
    SHARED_VIEW,
    f"{worlds.FOREIGN}/locations/l/sharedgalleries/opaque-1",
    f"{worlds.CONSUMER}/locations/l/communitygalleries/pub",
]
SCOPES = [
    "/",
    worlds.TENANT,
    worlds.ROOT_GROUP,
    worlds.PLATFORM,
    worlds.IMAGES,
    worlds.SUBSCRIPTION,
    worlds.CONSUMER,
    worlds.FOREIGN,
    worlds.GALLERY,
    worlds.VERSION,
    SHARED_VIEW,
]
PEOPLE = [worlds.ALICE, worlds.BOB, worlds.user("unknown"), worlds.user("carol", "tenants/t2")]
GROUPS = [worlds.group("g0"), worlds.group("g1"), worlds.group("unknown")]
DATA = "Stoa/data/read"
REGISTRY = ActionRegistry(control=KNOWN.names(), data=(DATA,))
ACTIONS = [
    worlds.READ,
    worlds.SHARE,
    worlds.SHARED_READ,
    worlds.COMMUNITY_READ,
]
PATTERNS = ["*", "*/read", "Microsoft.Compute/*/READ", "*/versions/*", worlds.SHARE, "*locations*"]
TIMES = [NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)]


class World:
    """One random policy, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        roles = [RoleDefinition(f"r{number}", "", self.permissions()) for number in range(3)]
        self.changes: list[Entity] = [
            *roles,
            *(self.held() for _ in range(16)),
            *(self.denied(number) for number in range(self.random.randrange(3))),
            *(member(self.one(GROUPS), self.one(PEOPLE + GROUPS)) for _ in range(4)),
        ]
        if self.random.random() < 0.9:
            self.changes.append(self.granted())
        if self.random.random() < 0.7:
            consumer = RoleDefinition("consumer", "", (Permissions(("*/read",)),))
            scopes = (worlds.CONSUMER, worlds.FOREIGN)
            self.changes += [consumer, *(assign("consumer", scope, PEOPLE[3]) for scope in scopes)]

    def one(self, choices):
        return self.random.choice(choices)

    def some(self, choices, most):
        return [self.one(choices) for _ in range(self.random.randrange(most + 1))]

    def maybe(self, value):
        return value if self.random.random() < 0.2 else None

    def permissions(self) -> tuple[Permissions, ...]:
        return tuple(
            Permissions(
                tuple(self.some(PATTERNS, 4)),
                tuple(self.some(PATTERNS[1:], 1)),
                tuple(self.some(PATTERNS, 1)),
                tuple(self.some(PATTERNS, 1)),
            )
            for _ in range(self.one([1, 1, 2]))
        )

    def held(self):
        role = f"r{self.random.randrange(4)}"
        more = {
            "start": self.maybe(self.one(TIMES)),
            "end": self.maybe(self.one(TIMES)),
            "condition": self.maybe("what?") or "",
        }
        scope, holder = self.one(SCOPES), self.one(PEOPLE + GROUPS)
        if self.random.random() < 0.7:
            return assign(role, scope, holder, id=f"a{self.random.random()}", **more)
        activations = tuple(
            Activation(self.one(PEOPLE), self.one(TIMES), self.one(TIMES)) for _ in range(3)
        )
        found = eligible(role, scope, holder, activations=activations, **more)
        return replace(found, name=f"{found.name}-{self.random.random()}")

    def denied(self, number: int):
        return deny(
            self.one(SCOPES),
            *self.some([*PEOPLE, *GROUPS, EVERYONE], 2),
            id=f"d{number}",
            permissions=self.permissions(),
            exclude_principals=frozenset(self.some(PEOPLE + GROUPS, 2)),
            do_not_apply_to_child_scopes=self.random.random() < 0.4,
        )

    def granted(self):
        consumers = [worlds.CONSUMER, worlds.FOREIGN, worlds.TENANT, worlds.OTHER_TENANT]
        return grant(
            self.one([*SharingMode, SharingMode.GROUPS]),
            public_name="pub",
            community_enabled=self.random.random() < 0.8,
            subscriptions=self.some(consumers[:2], 2),
            tenants=self.some(consumers[2:], 2),
            blocked=self.some(consumers, 1),
        )

    def questions(self):
        for caller in PEOPLE:
            for scope in [*SCOPES, *VIEWS[1:], worlds.DEFINITION]:
                yield caller, self.one(ACTIONS), scope, Plane.CONTROL
                view = 2 if "shared" in scope else 3 if "community" in scope else 0
                yield caller, ACTIONS[view], scope, Plane.CONTROL
                yield caller, DATA, scope, Plane.DATA


def answers(seeds) -> Counter[Reason]:
    counted: Counter[Reason] = Counter()
    for seed in seeds:
        made = World(seed)
        index = worlds.world(*made.changes)
        naive = Naive([*worlds.HIERARCHY, *worlds.PRINCIPALS, *made.changes])
        for caller, action, scope, plane in made.questions():
            decision = ask(index, action, scope, caller, plane=plane, registry=REGISTRY)
            expected = naive.allowed(caller, action, scope, NOW, plane)
            assert decision.allowed is expected, (seed, caller, action, scope, plane, decision)
            counted[decision.reason] += 1
    return counted


def test_both_evaluators_agree():
    counted = answers(range(150))
    # Agreement is worth something only where every outcome occurs.
    expected = {
        Reason.ROLE_ASSIGNMENT,
        Reason.SHARED_SUBSCRIPTION,
        Reason.SHARED_TENANT,
        Reason.COMMUNITY,
        Reason.DENY_ASSIGNMENT,
        Reason.NO_MATCHING_GRANT,
        Reason.ACTION_NOT_IN_ROLE,
        Reason.ELIGIBLE_NOT_ACTIVE,
        Reason.NOT_YET_ACTIVE,
        Reason.EXPIRED,
        Reason.CONDITION_UNSUPPORTED,
        Reason.NOT_SHARED,
        Reason.PROXY_READ_ONLY,
    }
    assert set(counted) == expected
    assert min(counted.values()) >= 8
