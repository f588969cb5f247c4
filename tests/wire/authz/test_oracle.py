"""The remote Check, the local replica and Cedar decide the same, while a world changes."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stoa.authz.v1 import access_pb2, decision_pb2

from services.kernel.rpc.registry import Audience
from services.policy.evaluation import evaluate
from services.policy.model import PrincipalKind
from services.policy.runtime import PolicyRuntime
from tests.unit.policy.oracle.cedar import Cedar, Verdict
from tests.unit.policy.oracle.comparison import difference, is_known, question
from tests.unit.policy.oracle.generation import all_scopes
from tests.unit.policy.oracle.questions import VIEW_READS, Asked
from tests.unit.policy.oracle.worlds import view_of
from tests.wire.authz.installation import Installation
from tests.wire.authz.oracle.asking import Asking, Entries
from tests.wire.authz.oracle.story import Story
from tests.wire.authz.oracle.writing import ME

SEED = os.environ.get("STOA_ORACLE_SEED", "1")
#: How often the world is changed; each time so many questions.
STEPS = int(os.environ.get("STOA_ORACLE_STEPS", "30"))
QUESTIONS = 20
ACTIONS = ("Microsoft.Compute/galleries/read", "Microsoft.Compute/disks/write")
pytestmark = pytest.mark.timeout(60 + STEPS * 5)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Asking]:
    with ExitStack() as stack:
        installation = Installation(tmp_path)
        stack.callback(installation.close)
        runtime = PolicyRuntime(
            installation._secure("catalog", installation._feed.port),
            installation._secure("catalog", installation.ports[Audience.INTERNAL]),
            name="oracle",
        )
        runtime.start()
        stack.callback(runtime.stop)
        yield Asking(Story(installation, SEED), installation, runtime)


def test_the_local_replica_the_remote_check_and_cedar_agree_while_a_world_changes(asking):
    seen: Counter[str] = Counter()
    for _ in range(STEPS):
        asked = asking.questions(QUESTIONS)
        index = asking.local()
        remote = asking.remote(asked)
        verdicts = Cedar(asking.story.world).decide(asked)
        for one, verdict, answer in zip(asked, verdicts, remote, strict=True):
            known = is_known(asking.story.world, one.caller)
            local = evaluate(index, one.caller, question(one), now=one.now)
            assert not difference(verdict, local, known=known), (one, local, verdict)
            assert not _differs(verdict, answer, known=known), (one, answer, verdict)
            seen[decision_pb2.DecisionReason.Name(answer.reason)[16:]] += 1
        for _ in range(3):
            asking.story.change()
    writer = asking.story.writer
    print(seen, writer.taken, writer.refused)
    assert seen["ROLE_ASSIGNMENT"] > 5
    assert seen["DENY_ASSIGNMENT"]
    assert writer.taken.total() > 2 * writer.refused.total()


def test_what_is_listed_is_what_cedar_allows_scope_by_scope(asking):
    world = asking.story.world
    everywhere = sorted({one for one in all_scopes(world) if view_of(one) is None})
    cedar, allowed_once = Cedar(world), 0
    for caller in world.principals:
        for action in ACTIONS:
            now = datetime.now(UTC)
            verdicts = cedar.decide([Asked(caller, action, one, now) for one in everywhere])
            entries = asking.accessible(caller, action)
            for one, verdict in zip(everywhere, verdicts, strict=True):
                covered = _covered(entries, world.chain(one))
                assert covered is verdict.allowed, (caller, action, one, entries)
                allowed_once += covered
    assert allowed_once


def test_the_views_that_are_listed_are_those_that_cedar_allows(asking):
    world = asking.story.world
    now = datetime.now(UTC)
    names = {grant.shared_id for grant in world.grants.values()}
    names |= {grant.public_name for grant in world.grants.values()}
    views = [
        f"{subscription}/locations/eastus/{kind}/{name}{below}"
        for subscription in world.subscriptions
        for kind in VIEW_READS
        for name in names
        for below in ("", "/images/i/versions/1.0.0")
    ]
    cedar = Cedar(world)
    for caller in world.principals:
        for kind, (read, *_) in VIEW_READS.items():
            asked = [Asked(caller, read, one, now) for one in views if f"/{kind}/" in one]
            entries = asking.accessible(caller, read)
            for one, verdict in zip(asked, cedar.decide(asked), strict=True):
                anywhere = one.scope.replace("/locations/eastus/", "/locations/-/")
                chain = [*world.chain(one.scope), *world.chain(anywhere)]
                assert _covered(entries, chain) is verdict.allowed, (one, entries)


def test_who_is_listed_is_whom_cedar_allows(asking):
    world = asking.story.world
    for _ in range(10):
        asking.story.add_reader()
    now = datetime.now(UTC)
    people = [one.key for one in world.principals.values() if one.kind is not PrincipalKind.GROUP]
    cedar, found = Cedar(world), 0
    everywhere = sorted({one for one in all_scopes(world) if view_of(one) is None})
    for scope in everywhere:
        for action in ACTIONS:
            verdicts = cedar.decide([Asked(one, action, scope, now) for one in people])
            allowed = {
                one for one, verdict in zip(people, verdicts, strict=True) if verdict.allowed
            }
            assert asking.subjects(scope, action) == allowed, (scope, action)
            found += len(allowed - {ME})
    assert found or SEED != "1"  # Some worlds forbid everybody everything.


def _covered(entries: Entries, chain: list[str]) -> bool:
    """What is allowed at or above a scope, and denied neither there nor at the scope alone."""
    effects = {
        effect: {scope for scope, found in entries if found == effect}
        for effect in access_pb2.AccessibleScope.Effect.values()
    }
    allowed = effects[access_pb2.AccessibleScope.EFFECT_ALLOWED].intersection(chain)
    denied = effects[access_pb2.AccessibleScope.EFFECT_DENIED].intersection(chain)
    here = chain[0] in effects[access_pb2.AccessibleScope.EFFECT_DENIED_HERE]
    return bool(allowed) and not denied and not here


def _differs(verdict: Verdict, answer: decision_pb2.Decision, *, known: bool) -> bool:
    if answer.allowed is not verdict.allowed:
        return True
    names = {one.name for one in verdict.reasons}
    return known and decision_pb2.DecisionReason.Name(answer.reason)[16:] not in names
