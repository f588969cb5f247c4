"""What authorization costs a call: decided here, decided by authz, and lists of what one may see.

    python -m benchmarks.authz_calls [--rounds 7] [--seconds 1] [--assignments 1000000]

- GetImageVersion by four server processes of one catalog that differ in how they decide
  (`deciding_server.py`), arms alternating; CPU is that of the server process.
- Check and BatchCheck of a hundred by authz, one call at a time. Questions are about resources in
  20,000 names in turn, more than authz remembers the decisions of.
- The first page of ListAccessible: in process among a million assignments, the world of
  `policy_check`, and over RPC for a caller with a thousand.

Servers run on the first core, the client on the last.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
from stoa.authz.v1 import (
    access_pb2,
    authorization_service_pb2_grpc,
    check_pb2,
    decision_pb2,
)
from stoa.catalog.v1 import image_version_requests_pb2

from benchmarks.authz_reader import GALLERIES, QUESTIONS, Reader
from benchmarks.calls import CORES, Arm, Measured, measure, pin, servers_of
from benchmarks.deciding_server import WAYS
from benchmarks.installation import Installation, installation, with_image
from benchmarks.policy_check import CALLER, READ, build
from services.kernel.names import ROOT, fold
from services.policy.accessible_scopes import AccessibleScopes
from services.policy.scopes import Scope

BATCH = 100

Round = dict[str, Measured]


@contextmanager
def client_process() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(Path(__file__).with_name("loadgen.py"))]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pin(client.pid, CORES[-1])
    try:
        yield client
    finally:
        client.terminate()
        client.wait()


@contextmanager
def deciding_server(one: Installation, how: str, index: int) -> Iterator[tuple[int, str]]:
    """Start one more server of the catalog; answer its process and where it listens."""
    client, internal = free_address(), free_address()
    settings = {"STOA_CATALOG_CLIENT_LISTEN": client, "STOA_CATALOG_INTERNAL_LISTEN": internal}
    config = ["--config", str(one.data / "config.toml"), "--role", "server", "--index", str(index)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.deciding_server", how, *config],
        env=os.environ | settings,
    )
    try:
        with grpc.insecure_channel(client) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        yield process.pid, client
    finally:
        process.terminate()
        process.wait()


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def decisions(one: Installation, client: Any, chosen: argparse.Namespace) -> list[Round]:
    """Measure GetImageVersion once for each way of deciding it."""
    request = image_version_requests_pb2.GetImageVersionRequest(name=with_image(one))
    job = {
        "in_flight": chosen.in_flight,
        "method": "/stoa.catalog.v1.ImageVersionService/GetImageVersion",
        "request": request.SerializeToString().hex(),
        "metadata": [["authorization", f"Bearer {one.token()}"]],
    }
    with ExitStack() as stack:
        arms = []
        for index, how in enumerate(WAYS, 1):
            pid, target = stack.enter_context(deciding_server(one, how, index))
            pin(pid, CORES[0])
            arms.append(Arm(how, pid, job | {"target": target}))
        return rounds_of(client, arms, chosen)


def rounds_of(client: Any, arms: list[Arm], chosen: argparse.Namespace) -> list[Round]:
    for arm in arms:
        measure(client, arm, 1.0)
    found: list[Round] = []
    for number in range(chosen.rounds):
        # Each arm is first, last and in between.
        turn = number % len(arms)
        order = arms[turn:] + arms[:turn]
        found.append({arm.name: measure(client, arm, chosen.seconds) for arm in order})
    return found


def questions(one: Installation, reader: Reader, client: Any, chosen: Any) -> list[Round]:
    """Measure Check, BatchCheck and ListAccessible, one call at a time."""
    target = one.endpoint("authz")
    (server,) = servers_of(int(target.rpartition(":")[2]))
    pin(server, CORES[0])
    names = reader.questions()
    checks = [check_pb2.CheckRequest(action=READ, resource=name) for name in names]
    items = [decision_pb2.CheckItem(action=READ, resource=name) for name in names]
    batches = [
        check_pb2.BatchCheckRequest(items=items[begin : begin + BATCH])
        for begin in range(0, QUESTIONS, BATCH)
    ]
    lists = [access_pb2.ListAccessibleRequest(action=READ, page_size=GALLERIES)]
    common = {
        "target": target,
        "in_flight": 1,
        "metadata": [["authorization", f"Bearer {reader.token}"]],
    }
    service = "/stoa.authz.v1.AuthorizationService"
    asked: Mapping[str, list[Any]] = {
        "Check": checks,
        "BatchCheck": batches,
        "ListAccessible": lists,
    }
    with grpc.insecure_channel(target) as channel:
        stub = authorization_service_pb2_grpc.AuthorizationServiceStub(channel)
        metadata = (("authorization", f"Bearer {reader.token}"),)
        answered = stub.BatchCheck(batches[0], metadata=metadata)
        assert all(result.decision.allowed for result in answered.results)
        assert len(stub.ListAccessible(lists[0], metadata=metadata).accessible_scopes) == GALLERIES
    arms = [
        Arm(
            name,
            server,
            common
            | {
                "method": f"{service}/{name}",
                "requests": [request.SerializeToString().hex() for request in requests],
            },
        )
        for name, requests in asked.items()
    ]
    return rounds_of(client, arms, chosen)


def first_pages(count: int) -> None:
    """Print what the first page takes among a million assignments, in milliseconds of CPU."""
    index, _ = build(count)
    now = datetime.now(UTC)
    for title, expand in (("as they are", False), ("subscriptions", True)):
        times = []
        for _ in range(20):
            began = time.thread_time()
            listing = AccessibleScopes(
                index, CALLER, fold(READ), under=Scope.parse(ROOT), now=now, expand=expand
            )
            # One more than the page, as the service does to know whether there is another.
            page = list(islice(listing.entries(), GALLERIES + 1))
            times.append((time.thread_time() - began) * 1e3)
        print(
            f"ListAccessible, {title}, first page of {len(page) - 1:,} among {count:,}:"
            f" {statistics.median(times):.1f} ms  longest {max(times):.1f} ms  goal < 20 ms"
        )


def ratio(title: str, goal: str, rounds: list[Round], of: Callable[[Round], float]) -> None:
    ratios = sorted(map(of, rounds))
    spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"{title:58} {statistics.median(ratios):5.2f}  {spread}  {goal}")


def cost(above: str, below: str, one: Round) -> float:
    return one[above].cpu / one[below].cpu


def rate(above: str, below: str, one: Round) -> float:
    return one[above].rate / one[below].rate


def time_of(above: str, below: str, one: Round) -> float:
    return one[above].p50 / one[below].p50


def report(rounds: list[Round], prefix: str = "") -> None:
    for name in rounds[0]:
        ours = [one[name] for one in rounds]
        print(
            f"{prefix + name:28} {statistics.median(m.rate for m in ours):7.0f} calls/s"
            f"  p50 {statistics.median(m.p50 for m in ours) * 1e3:6.2f} ms"
            f"  p99 {statistics.median(m.p99 for m in ours) * 1e3:6.2f} ms"
            f"  {statistics.median(m.cpu for m in ours) * 1e6:6.0f} us of server CPU a call"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--assignments", type=int, default=1_000_000)
    chosen = parser.parse_args()
    settings = {"STOA_CATALOG_SERVERS": "1", "STOA_AUTHZ_SERVERS": "1"}
    with installation(**settings) as one, client_process() as client:
        decided = decisions(one, client, chosen)
        asked = questions(one, Reader(one), client, chosen)
    report(decided, "Get, ")
    for how in ("remembered", "anew"):
        title = f"GetImageVersion decided {how} / not decided, CPU"
        ratio(title, "goal <= 1.05", decided, partial(cost, how, "nothing"))
    title = "GetImageVersion decided by authz / not decided, rate"
    ratio(title, "goal >= 0.4", decided, partial(rate, "remote", "nothing"))
    report(asked)
    title = f"BatchCheck of {BATCH} / Check, time"
    ratio(title, "goal <= 2", asked, partial(time_of, "BatchCheck", "Check"))
    first_pages(chosen.assignments)


if __name__ == "__main__":
    main()
