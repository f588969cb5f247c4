"""The evaluator and Cedar decide the same, from the same worlds by different ways."""

import os
from collections import Counter
from random import Random

from services.policy.decision import Reason
from tests.unit.policy.oracle.comparison import (
    asker,
    differences,
    evaluated,
    index_of,
    made,
    report,
)

#: `STOA_ORACLE_DECISIONS=500000` is the long run; `STOA_ORACLE_SEED` begins elsewhere.
DECISIONS = int(os.environ.get("STOA_ORACLE_DECISIONS", "20000"))
SEED = os.environ.get("STOA_ORACLE_SEED", "1")
PER_WORLD = 100
#: What may be answered about one question that is well formed.
POSSIBLE = {
    Reason.ROLE_ASSIGNMENT,
    Reason.SHARED_SUBSCRIPTION,
    Reason.SHARED_TENANT,
    Reason.COMMUNITY,
    Reason.DENY_ASSIGNMENT,
    Reason.CONDITION_UNSUPPORTED,
    Reason.ELIGIBLE_NOT_ACTIVE,
    Reason.NOT_YET_ACTIVE,
    Reason.EXPIRED,
    Reason.ACTION_NOT_IN_ROLE,
    Reason.NO_MATCHING_GRANT,
    Reason.NOT_SHARED,
    Reason.PROXY_READ_ONLY,
}


def test_cedar_decides_every_question_about_random_worlds_as_the_evaluator_does():
    seen: Counter[Reason] = Counter()
    for number in range(max(1, DECISIONS // PER_WORLD)):
        seed = f"{SEED}-{number}"
        _, world = made(seed)
        asking = asker(world, Random(f"questions {seed}"))
        asked = [asking.ask() for _ in range(PER_WORLD)]
        index = index_of(world)
        answers = {one: evaluated(index, one) for one in asked}
        seen.update(answer.reason for answer in answers.values())
        for question, text in differences(world, asked, answers.__getitem__):
            raise AssertionError(report(world, question, text, seed))
    print(seen)
    assert len(seen) == len(POSSIBLE) or DECISIONS < 10_000
    assert seen[Reason.ROLE_ASSIGNMENT] > DECISIONS // 10
