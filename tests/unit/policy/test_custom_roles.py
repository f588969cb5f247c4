"""Custom roles in the compiled policy: made, changed and deleted like in the log."""

import random

import pytest

from services.policy.decision import Reason
from services.policy.model import (
    Change,
    Kind,
    Permissions,
    Plane,
    Removed,
    RoleDefinition,
    Transaction,
)
from tests.unit.policy import worlds
from tests.unit.policy.naive import Naive
from tests.unit.policy.worlds import ALICE, NOW, ask, assign, role

ACTIONS = [worlds.READ, worlds.WRITE, worlds.GALLERY_READ, worlds.SHARE]
PATTERNS = ["*", "*/read", "Microsoft.Compute/*", "*/versions/*", worlds.SHARE, worlds.WRITE]
IDS = ["r0", "r1", "r2"]


def test_a_change_of_one_role_compiles_that_one_alone():
    roles = [role("*/read", id=f"r{number}") for number in range(200)]
    before = worlds.world(*roles, assign("r7", worlds.GALLERY))
    changed = role(worlds.WRITE, id="r7")
    after = before.apply(Transaction(2, (changed,)))
    others = [one for one in before.directory.roles if one != "r7"]
    assert len(others) == 199
    assert all(after.directory.roles[one] is before.directory.roles[one] for one in others)
    assert after.directory.roles["r7"] is not before.directory.roles["r7"]
    # Where it is assigned stays as it was: an assignment names its role and holds none of it.
    assert after.tree.children is before.tree.children
    assert ask(before, worlds.READ, worlds.VERSION).allowed
    assert not ask(before, worlds.WRITE, worlds.VERSION).allowed
    assert not ask(after, worlds.READ, worlds.VERSION).allowed
    assert ask(after, worlds.WRITE, worlds.VERSION).allowed


def test_what_was_remembered_of_a_role_is_of_its_revision_alone():
    before = worlds.world(role("*/read"), assign("r1", worlds.GALLERY))
    assert [ask(before, worlds.READ, worlds.VERSION).allowed for _ in range(2)] == [True, True]
    after = before.apply(Transaction(2, (role("*/read", minus=(worlds.READ,)),)))
    assert [ask(after, worlds.READ, worlds.VERSION).allowed for _ in range(2)] == [False, False]
    assert ask(before, worlds.READ, worlds.VERSION).allowed


def test_a_role_that_is_gone_or_not_there_yet_grants_nothing():
    index = worlds.world(assign("r1", worlds.GALLERY))
    assert ask(index, worlds.READ, worlds.VERSION).reason is Reason.ACTION_NOT_IN_ROLE
    there = index.apply(Transaction(2, (role("*"),)))
    assert ask(there, worlds.READ, worlds.VERSION).allowed
    gone = there.apply(Transaction(3, (Removed(Kind.ROLE_DEFINITION, "r1"),)))
    assert not ask(gone, worlds.READ, worlds.VERSION).allowed


def test_where_a_role_may_be_assigned_never_matters_to_a_decision():
    elsewhere = RoleDefinition("r1", "", (Permissions(("*",)),), (worlds.FOREIGN,))
    index = worlds.world(elsewhere, assign("r1", worlds.GALLERY))
    assert ask(index, worlds.READ, worlds.VERSION).allowed


@pytest.mark.parametrize("seed", range(10))
def test_roles_written_in_any_order_decide_as_the_rules_say(seed):
    chance = random.Random(seed)
    held = [
        assign(chance.choice(IDS), scope, id=f"a{number}")
        for number, scope in enumerate(
            [worlds.GALLERY, worlds.SUBSCRIPTION, worlds.VERSION, worlds.CONSUMER]
        )
    ]
    index = worlds.world(*held)
    current: dict[str, RoleDefinition] = {}
    allowed = 0
    for revision in range(2, 30):
        changes: list[Change] = []
        for own in chance.sample(IDS, chance.randrange(1, 3)):
            if chance.random() < 0.3:
                current.pop(own, None)
                changes.append(Removed(Kind.ROLE_DEFINITION, own))
                continue
            permissions = tuple(
                Permissions(
                    tuple(chance.sample(PATTERNS, chance.randrange(3))),
                    tuple(chance.sample(PATTERNS[1:], chance.randrange(2))),
                )
                for _ in range(chance.randrange(1, 3))
            )
            current[own] = RoleDefinition(own, own, permissions, revision=revision)
            changes.append(current[own])
        index = index.apply(Transaction(revision, tuple(changes)))
        naive = Naive([*worlds.HIERARCHY, *worlds.PRINCIPALS, *held, *current.values()])
        for action in ACTIONS:
            for scope in (worlds.GALLERY, worlds.VERSION, worlds.SUBSCRIPTION, worlds.CONSUMER):
                decision = ask(index, action, scope)
                expected = naive.allowed(ALICE, action, scope, NOW, Plane.CONTROL)
                assert decision.allowed is expected
                allowed += decision.allowed
    assert allowed
