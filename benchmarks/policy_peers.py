"""Decisions of one world by the policy of the services, by Cedar and by Casbin, side by side.

    python -m benchmarks.policy_peers [ASSIGNMENTS ...] [--questions 1000]

The world is that of `policy_check`. All are asked the same random questions, none of them twice:
what an engine remembers of its own answers is not measured. Every answer has to be the same. Times
are of the thread's processor, so that a machine with other work tells the same; memory is what the
process has more of once the world is loaded. Each engine runs in a process of its own.

There is no goal to meet here: what follows from the ratios stands in docs/benchmarks.md.
"""

import argparse
import gc
import multiprocessing
import os
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.policy_check import READ, subscriptions, version, world
from benchmarks.policy_engines import (
    Asked,
    Decide,
    cedar_members,
    cedar_policies,
    pycasbin,
    stoa,
)

MIB = 1 << 20
ACTIONS = (READ, READ.replace("/read", "/write"), READ.replace("/read", "/delete"))
WARM = 50
# Each engine with the largest world that it decides within a minute, loading it included.
ENGINES = {
    "stoa": (stoa, 1_000_000),
    "cedarpy, a policy each": (cedar_policies, 10_000),
    "cedarpy, members of teams": (cedar_members, 100_000),
    "pycasbin, fast enforcer": (pycasbin, 1_000_000),
}


@dataclass(frozen=True)
class Measured:
    build: float
    mib: float
    times: list[float]
    answers: list[bool]

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.times, n=100)[98]


def questions(count: int, wanted: int) -> list[Asked]:
    chosen = random.Random(count + 1)
    found: dict[Asked, None] = {}
    while len(found) < wanted:
        scope = version(chosen, chosen.randrange(subscriptions(count)))
        found[chosen.choice(ACTIONS), scope] = None
    return list(found)


def measure(name: str, count: int, wanted: int) -> Measured:
    engine, _ = ENGINES[name]
    asked = questions(count, WARM + wanted)
    before = resident()
    began = time.thread_time()
    decide = engine(world(count), asked)
    build = time.thread_time() - began
    gc.collect()
    mib = (resident() - before) / MIB
    for action, scope in asked[:WARM]:
        decide(action, scope)
    return Measured(build, mib, *ask(decide, asked[WARM:]))


def ask(decide: Decide, asked: list[Asked]) -> tuple[list[float], list[bool]]:
    times, answers = [], []
    for action, scope in asked:
        began = time.thread_time_ns()
        allowed = decide(action, scope)
        times.append((time.thread_time_ns() - began) / 1e3)
        answers.append(allowed)
    return times, answers


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def in_own_process(name: str, count: int, wanted: int) -> Measured:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(measure, name, count, wanted).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--questions", type=int, default=1_000)
    chosen = parser.parse_args()
    print("assignments  engine                     build s    MiB     p50 us     p99 us  p50 ratio")
    for count in chosen.sizes:
        names = [name for name, (_, most) in ENGINES.items() if count <= most]
        found = {name: in_own_process(name, count, chosen.questions) for name in names}
        ours = found["stoa"]
        for name, one in found.items():
            assert one.answers == ours.answers, f"{name} decides otherwise"
            print(
                f"{count:11,}  {name:25}  {one.build:7.2f}  {one.mib:5.0f}  {one.p50:9.1f}"
                f"  {one.p99:9.1f}  {one.p50 / ours.p50:9.1f}",
                flush=True,
            )
        print(
            f"{count:11,}  all decide the same {len(ours.answers):,} questions alike,"
            f" {statistics.mean(ours.answers):.0%} allowed",
            flush=True,
        )


if __name__ == "__main__":
    main()
