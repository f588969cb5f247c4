"""What idle watches cost the replication server, and how late watchers learn of events meanwhile.

    python -m benchmarks.watching [--streams 5000] [--seconds 60] [--versions 15]

The streams wait for a generation that does not come, and get a bookmark every 10 s. Memory is that
of the server process by proportional set size, before they come and while they are there; CPU is
the share of a core while they are idle. Then versions are published, each with a watcher of its
own: the lag is from the time at which a transition was recorded to its arrival.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.replication.v1.replication_watch_pb2 import WatchReplicationRequest

from benchmarks.calls import cpu_seconds
from benchmarks.installation import Installation, installation, with_image
from cli.installation.layout import Layout
from cli.installation.process_table import members
from cli.installation.running import running

CLIENTS: Final = 2
# Streams of one connection are limited on both sides.
PER_CONNECTION: Final = 100
WARM: Final = 200


async def hold(target: str, token: str, name: str, count: int) -> None:
    """Hold idle streams until the process is ended; say so once each has got a first message."""
    metadata = [("authorization", f"Bearer {token}")]
    request = WatchReplicationRequest(name=name, minimum_generation=1 << 30)
    came, refused = asyncio.Semaphore(0), 0

    async def follow(stub: Any) -> None:
        nonlocal refused
        try:
            async for _ in stub.WatchReplication(request, metadata=metadata):
                came.release()
        except grpc.RpcError:
            refused += 1
            came.release()

    tasks = []
    for number in range(count):
        if number % PER_CONNECTION == 0:
            # Channels with the same arguments share a connection.
            channel = grpc.aio.insecure_channel(target, options=[("stoa.bench.channel", number)])
            stub = ReplicationServiceStub(channel)
        tasks.append(asyncio.create_task(follow(stub)))
    for _ in range(count):
        await came.acquire()
    print(refused, flush=True)
    await asyncio.gather(*tasks)


@contextmanager
def held(one: Installation, name: str, streams: int) -> Iterator[int]:
    """Idle streams as long as the block lasts; how many of them were refused."""
    me = [sys.executable, "-m", "benchmarks.watching", "--hold"]
    share = str(streams // CLIENTS)
    arguments = [one.endpoint("replication"), one.token(), name, share]
    clients = [
        subprocess.Popen([*me, *arguments], stdout=subprocess.PIPE, text=True)
        for _ in range(CLIENTS)
    ]
    try:
        yield sum(int(client.stdout.readline()) for client in clients if client.stdout)
    finally:
        for client in clients:
            client.kill()
            client.wait()


def server_of(one: Installation) -> int:
    """The process that serves replication."""
    found = running(Layout(one.data))["replication"]
    return next(pid for pid, command in members(found.pid) if "--role server" in command)


def kib(pid: int) -> int:
    """The proportional set size of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise LookupError(pid)


def share_of_core(pid: int, seconds: float) -> float:
    """How much of a core a process takes."""
    used, began = cpu_seconds(pid), time.perf_counter()
    time.sleep(seconds)
    return (cpu_seconds(pid) - used) / (time.perf_counter() - began)


def lags(one: Installation, versions: int) -> list[float]:
    """Seconds from the time of each transition to its arrival."""
    client = one.client["client"]
    images = f"subscriptions/{client['subscription']}/resourceGroups/bench/galleries/golden/images"
    metadata = (("authorization", f"Bearer {one.token()}"),)
    create = ("-g", "bench", "--location", "east", "-r", "golden", "-i", "linux", "--os-blob", "os")
    found: list[float] = []

    def watch(stub: Any, name: str) -> None:
        request = WatchReplicationRequest(name=name, minimum_generation=1)
        for message in stub.WatchReplication(request, metadata=metadata, timeout=120):
            came = time.time()
            if message.HasField("transition"):
                found.append(came - message.event_time.ToNanoseconds() / 1e9)

    with grpc.insecure_channel(one.endpoint("replication")) as channel:
        stub = ReplicationServiceStub(channel)
        for number in range(versions):
            version = f"1.1.{number}"
            name = f"{images}/linux/versions/{version}"
            watcher = threading.Thread(target=watch, args=(stub, name))
            watcher.start()
            one.stoa("image-version", "create", *create, "-e", version)
            watcher.join()
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--versions", type=int, default=15)
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        one = stack.enter_context(installation())
        name = with_image(one)
        server = server_of(one)
        # What the first streams load is no part of what each costs.
        with held(one, name, WARM):
            pass
        before, alone = kib(server), share_of_core(server, chosen.seconds / 2)
        refused = stack.enter_context(held(one, name, chosen.streams))
        each = (kib(server) - before) / chosen.streams
        share = share_of_core(server, chosen.seconds)
        late = lags(one, chosen.versions)
    print(f"{chosen.streams} idle watches")
    print(f"  refused            {refused:8}        goal 0")
    print(f"  memory of each     {each:8.1f} KiB    goal <= 30 KiB")
    print(
        f"  cores while idle   {share - alone:8.3f}        goal <= 0.05; {alone:.3f} without them"
    )
    middle, worst = late[len(late) // 2], late[int(len(late) * 0.99)]
    print(f"{len(late)} transitions told beside them")
    print(f"  lag, p50 and p99   {middle * 1e3:5.0f} ms {worst * 1e3:5.0f} ms  goal p99 <= 500 ms")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--hold"]:
        target, token, name, count = sys.argv[2:]
        asyncio.run(hold(target, token, name, int(count)))
    else:
        os.environ.pop("STOA_HOME", None)
        main()
