"""How long one local decision takes, how long a transaction, and what the index weighs.

    python -m benchmarks.policy_check [ASSIGNMENTS ...]

A caller with 20 groups, some of them nested, asks about random image versions; a fifth
of the assignments is theirs or their groups'. Prints one row per size; the goals are those of
the largest size, a million.
"""

import argparse
import random
import resource
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from services.policy.builtin_roles import BUILT_IN_ROLES
from services.policy.decision import Question
from services.policy.evaluation import evaluate
from services.policy.index import PolicyIndex, load_index
from services.policy.model import (
    Change,
    ManagementGroup,
    Membership,
    Principal,
    PrincipalKind,
    RoleAssignment,
    Subscription,
    Transaction,
)

TENANT = "tenants/t"
CALLER = f"{TENANT}/users/u0"
GROUPS = [f"{TENANT}/groups/g{number}" for number in range(20)]
PER_SUBSCRIPTION = 50
READ = "Microsoft.Compute/galleries/images/versions/read"
ROUNDS = 20_000
GOALS = "goals at 1,000,000 assignments: p50 < 20 us, p99 < 100 us"


def subscriptions(count: int) -> int:
    """Answer how many subscriptions a world of `count` assignments has."""
    return max(1, count // PER_SUBSCRIPTION)


def hierarchy(size: int) -> Iterator[Change]:
    root = f"{TENANT}/managementgroups/t"
    middle = f"{TENANT}/managementgroups/m"
    yield ManagementGroup(root, TENANT, None)
    yield ManagementGroup(middle, TENANT, root)
    yield from BUILT_IN_ROLES
    for number in range(1_000):
        yield Principal(f"{TENANT}/users/u{number}", PrincipalKind.USER)
    for number, group in enumerate(GROUPS):
        yield Principal(group, PrincipalKind.GROUP)
        yield Membership(group, CALLER if number < 10 else GROUPS[number - 10])
    for number in range(size):
        yield Subscription(f"subscriptions/s{number}", TENANT, middle)


def version(chosen: random.Random, subscription: int) -> str:
    gallery = f"subscriptions/s{subscription}/resourcegroups/rg{chosen.randrange(4)}/galleries/g"
    return f"{gallery}/images/i{chosen.randrange(4)}/versions/1.0.{chosen.randrange(5)}"


def assignments(count: int, chosen: random.Random) -> Iterator[RoleAssignment]:
    roles = [role.id for role in BUILT_IN_ROLES[:10]]
    # As the feed's reader does: equal keys are one string.
    others = [f"{TENANT}/users/u{number}" for number in range(1, 1_000)]
    known: dict[str, str] = {}
    for number in range(count):
        scope = version(chosen, number // PER_SUBSCRIPTION)
        depth = chosen.choice([2, 4, 4, 6, 8, 10])
        scope = "/".join(scope.split("/")[:depth])
        scope = known.setdefault(scope, scope)
        ours = chosen.random() < 0.2
        principal = chosen.choice([CALLER, *GROUPS] if ours else others)
        name = f"{scope}/roleassignments/{number:032x}"
        yield RoleAssignment(name, scope, principal, chosen.choice(roles), revision=number)


def world(count: int) -> Iterator[Change]:
    """Answer a policy with this many role assignments, the same each time."""
    yield from hierarchy(subscriptions(count))
    yield from assignments(count, random.Random(count))


def build(count: int) -> tuple[PolicyIndex, float]:
    changes = tuple(world(count))
    prepared = time.perf_counter()
    index = load_index(1, 1, changes)
    return index, time.perf_counter() - prepared


def decide(index: PolicyIndex, count: int) -> tuple[list[float], int]:
    chosen = random.Random(1)
    now = datetime.now(UTC)
    names = [version(chosen, chosen.randrange(subscriptions(count))) for _ in range(ROUNDS)]
    taken: list[float] = []
    allowed = 0
    for name in names:
        started = time.perf_counter()
        decision = evaluate(index, CALLER, Question(READ, name), now=now)
        taken.append((time.perf_counter() - started) * 1e6)
        allowed += decision.allowed
    return taken, allowed


def write(index: PolicyIndex, count: int) -> float:
    chosen = random.Random(2)
    taken: list[float] = []
    for number in range(200):
        scope = version(chosen, chosen.randrange(subscriptions(count)))
        name = f"{scope}/roleassignments/new{number}"
        change = RoleAssignment(name, scope, CALLER, BUILT_IN_ROLES[0].id)
        transaction = Transaction(index.revision + 1, (change,))
        started = time.perf_counter()
        index = index.apply(transaction)
        taken.append((time.perf_counter() - started) * 1e6)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000, 100_000, 1_000_000])
    print("assignments  build s  MiB    p50 us  p99 us  allowed  transaction us")
    for count in parser.parse_args().sizes:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        index, seconds = build(count)
        weight = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        taken, allowed = decide(index, count)
        cuts = statistics.quantiles(taken, n=100)
        print(
            f"{count:11,}  {seconds:7.1f}  {weight:5.0f}  {cuts[49]:6.1f}  {cuts[98]:6.1f}"
            f"  {allowed / ROUNDS:7.0%}  {write(index, count):14.0f}",
            flush=True,
        )
        del index
    print(GOALS)


if __name__ == "__main__":
    main()
