"""The evaluator and Cedar decide the same, from the same worlds by different ways."""

import os
from collections import Counter
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from services.policy.accessible import Accessible, accessible
from services.policy.builtin_roles import OWNER
from services.policy.decision import Reason
from services.policy.evaluation import evaluate_all
from services.policy.model import Permissions, Plane, RoleAssignment
from tests.unit.policy.oracle.cedar import Cedar, Verdict
from tests.unit.policy.oracle.changes import Changer
from tests.unit.policy.oracle.comparison import (
    agree,
    asker,
    evaluated,
    index_of,
    is_known,
    made,
    question,
)
from tests.unit.policy.oracle.generation import HOURS, all_scopes
from tests.unit.policy.oracle.questions import EPOCH, REGISTRY, Asked
from tests.unit.policy.oracle.worlds import view_of

#: `STOA_ORACLE_DECISIONS=500000` is the long run; `STOA_ORACLE_SEED` begins elsewhere.
DECISIONS = int(os.environ.get("STOA_ORACLE_DECISIONS", "20000"))
SEED = os.environ.get("STOA_ORACLE_SEED", "1")
PER_WORLD = 100
pytestmark = pytest.mark.timeout(60 + DECISIONS // 100)
#: What may be answered about one question that is well formed.
POSSIBLE = {
    Reason.ROLE_ASSIGNMENT,
    Reason.SHARED_SUBSCRIPTION,
    Reason.SHARED_TENANT,
    Reason.COMMUNITY,
    Reason.DENY_ASSIGNMENT,
    Reason.CONDITION_FALSE,
    Reason.CONDITION_UNSUPPORTED,
    Reason.ELIGIBLE_NOT_ACTIVE,
    Reason.NOT_YET_ACTIVE,
    Reason.EXPIRED,
    Reason.ACTION_NOT_IN_ROLE,
    Reason.NO_MATCHING_GRANT,
    Reason.NOT_SHARED,
    Reason.PROXY_READ_ONLY,
}


READ = "Microsoft.Compute/galleries/images/read"


def rounds(share: float, decisions: int = PER_WORLD) -> list[str]:
    """The seeds for a part of the decisions, so many to each."""
    return [f"{SEED}-{number}" for number in range(max(1, int(DECISIONS * share / decisions)))]


def test_cedar_decides_every_question_about_random_worlds_as_the_evaluator_does():
    seen: Counter[Reason] = Counter()
    for seed in rounds(0.5):
        _, world = made(seed)
        asking = asker(world, Random(f"questions {seed}"))
        asked = [asking.ask() for _ in range(PER_WORLD)]
        index = index_of(world)
        answers = {one: evaluated(index, one) for one in asked}
        seen.update(answer.reason for answer in answers.values())
        agree(world, asked, answers.__getitem__, seed=seed)
    print(seen)
    assert seen.keys() == POSSIBLE or DECISIONS < 20_000
    assert seen[Reason.ROLE_ASSIGNMENT] > sum(seen.values()) // 10


def test_cedar_decides_a_world_after_each_change_as_the_index_that_was_carried_along():
    changes: Counter[str] = Counter()
    for seed in rounds(0.4, decisions=12 * 25):
        maker, world = made(f"changed {seed}")
        changer = Changer(maker, world)
        index = index_of(world)
        for step in range(12):
            transaction = changer.step()
            changes.update(type(change).__name__ for change in transaction.changes)
            index = index.apply(transaction)
            asking = asker(world, Random(f"questions {seed} {step}"))
            asked = [asking.ask() for _ in range(25)]
            agree(
                world,
                asked,
                partial(evaluated, index),
                seed=f"changed {seed}, step {step}: {transaction}",
            )
    print(changes)
    assert {"Removed", "MemberRemoved", "ScopeTombstone"} <= changes.keys() or DECISIONS < 20_000


def test_what_is_listed_as_accessible_is_what_cedar_allows_scope_by_scope():
    listed = denied = 0
    for seed in rounds(0.1, decisions=20):
        maker, world = made(f"listed {seed}")
        for _ in range(4):
            world.put(maker.reader(world))
            world.put(replace(maker.deny(world), permissions=(Permissions(actions=("*/read",)),)))
        everything = [one for one in all_scopes(world) if one.startswith("subscriptions/")]
        candidates = sorted({one for one in everything if view_of(one) is None})
        # What the directory does not know lies in nothing that could be listed.
        candidates = [one for one in candidates if not one.startswith("subscriptions/nowhere")]
        cedar = Cedar(world)
        index = index_of(world)
        asking = asker(world, Random(f"questions {seed}"))
        for turn in range(2):
            asked = replace(asking.ask(), attributes=())
            if turn:
                asked = replace(asked, action=READ, plane=Plane.CONTROL, spelled=("", ""))
            under = maker.random.choice(["/", "/", *candidates])
            inside = [one for one in candidates if under in world.chain(one)]
            answer = accessible(
                index,
                asked.caller,
                asked.action,
                under=under,
                now=asked.now,
                plane=asked.plane,
                registry=REGISTRY,
            )
            verdicts = cedar.decide(
                [Asked(asked.caller, asked.action, one, asked.now, asked.plane) for one in inside]
            )
            allowed = {
                one for one, verdict in zip(inside, verdicts, strict=True) if verdict.allowed
            }
            found = {one for one in inside if answer.covers(one)}
            assert found == allowed, (seed, asked, under, answer)
            assert not {one for one in set(candidates) - set(inside) if answer.covers(one)}
            _is_minimal(answer)
            listed += bool(answer.allowed)
            denied += bool(answer.denied or answer.denied_here)
    assert (listed and denied) or DECISIONS < 20_000


def _is_minimal(answer: Accessible) -> None:
    for of in (answer.allowed, answer.denied, answer.denied_here):
        assert list(of) == sorted(set(of))
    for one in answer.allowed:
        assert not [other for other in answer.allowed if one.startswith(f"{other}/")]
    for one in (*answer.denied, *answer.denied_here):
        assert [other for other in answer.allowed if f"{one}/".startswith(f"{other}/")]


def test_cedar_allows_a_conjunction_where_it_allows_every_part_of_it():
    seen: Counter[Reason] = Counter()
    for seed in rounds(0.3, decisions=40):
        _, world = made(f"linked {seed}")
        asking = asker(world, Random(f"questions {seed}"))
        index, cedar = index_of(world), Cedar(world)
        drawing = Random(f"conjunctions {seed}")
        now = drawing.choice(HOURS)
        asked = [replace(asking.ask(), now=now) for _ in range(40)]
        verdicts = dict(zip(asked, cedar.decide(asked), strict=True))
        allowed = [one for one in asked if verdicts[one].allowed] or asked
        for _ in range(10):
            count = drawing.randint(0, 2)
            items = [drawing.choice(allowed + asked[:3])]
            items += drawing.choices(drawing.choice((allowed, asked)), k=count)
            sent = [(one.caller, question(one)) for one in items]
            decision = evaluate_all(index, sent, now=now, registry=REGISTRY)
            failed, wanted = _conjunction([verdicts[one] for one in items])
            known = all(is_known(world, one.caller) for one in items)
            assert decision.allowed is (failed is None), (seed, items, decision)
            assert not known or decision.reason in wanted, (seed, items, decision)
            assert failed is None or decision.item == failed, (seed, items, decision)
            seen[decision.reason] += 1
    print(seen)
    assert {
        Reason.TARGET_AND_SOURCE,
        Reason.LINKED_SOURCE_DENIED,
        Reason.LINKED_SOURCE_DENY_ASSIGNMENT,
    } <= seen.keys() or DECISIONS < 20_000


def _conjunction(verdicts: list[Verdict]) -> tuple[int | None, frozenset[Reason]]:
    """The position that fails and the reasons that may be given (decision.proto)."""
    for at, verdict in enumerate(verdicts):
        if verdict.allowed:
            continue
        if at == 0:
            return at, verdict.reasons
        denied = verdict.reasons == {Reason.DENY_ASSIGNMENT}
        linked = Reason.LINKED_SOURCE_DENY_ASSIGNMENT if denied else Reason.LINKED_SOURCE_DENIED
        return at, frozenset({linked})
    if len(verdicts) == 1:
        return None, verdicts[0].reasons
    return None, frozenset({Reason.TARGET_AND_SOURCE})


@pytest.mark.parametrize(
    "action",
    ["*", "Microsoft.Compute/*", "*/read", "", "Microsoft.Compute/galleries/fly", "galleries/read"],
)
def test_no_world_allows_what_is_no_action(action: str):
    for seed in rounds(0.01):
        _, world = made(f"malformed {seed}")
        for caller in world.principals:
            world.put(RoleAssignment(f"roleassignments/{caller}", "/", caller, OWNER.id))
        index = index_of(world)
        for caller in world.principals:
            decision = evaluated(index, Asked(caller, action, "/", EPOCH))
            assert not decision.allowed
            wild = Reason.WILDCARD_ACTION if "*" in action else Reason.MALFORMED_ACTION
            assert decision.reason is wild


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "subscriptions",
        "subscriptions/",
        "/subscriptions/s1",
        "subscriptions/s1/",
        "subscriptions//resourceGroups/rg",
        "subscriptions/../resourceGroups/rg",
        "subscriptions/./resourceGroups/rg",
        "subscriptions/-/resourceGroups/rg",
        "subscriptions/s%31",
        "subscriptions/s1\\resourceGroups\\rg",
        "subscriptions/s\u212a",
        "subscriptions/s1\n",
    ],
)
def test_no_world_allows_what_is_no_resource(resource: str):
    for seed in rounds(0.01):
        _, world = made(f"malformed {seed}")
        for caller in world.principals:
            world.put(RoleAssignment(f"roleassignments/{caller}", "/", caller, OWNER.id))
        index = index_of(world)
        for caller in world.principals:
            decision = evaluated(
                index, Asked(caller, "Microsoft.Compute/galleries/read", resource, EPOCH)
            )
            assert not decision.allowed
            assert decision.reason is Reason.MALFORMED_RESOURCE
