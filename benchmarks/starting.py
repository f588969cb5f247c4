"""How long the command and a service take to start, beside Python and `import grpc` alone.

    python -m benchmarks.starting [--rounds 9]

A serving process is ready when it answers SERVING; its database is migrated. Arms alternate; ratios
are taken round by round.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.installation import STOA, Installation, installation
from cli.installation.layout import Layout
from cli.installation.running import running

Timed = Callable[[], float]


def timed(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def stop(one: Installation, service: str) -> None:
    """End one of the services that the command started."""
    layout = Layout(one.data)
    os.kill(running(layout)[service].pid, signal.SIGTERM)
    while service in running(layout):
        time.sleep(0.01)


def ready(one: Installation, service: str) -> float:
    """Start a service that was stopped and end it again; seconds until it answered SERVING."""
    command = [
        sys.executable,
        "-m",
        f"services.{service}",
        "--config",
        str(Layout(one.data).config),
    ]
    host, _, port = one.endpoint(service).rpartition(":")
    stub: Any = health_pb2_grpc.HealthStub
    began = time.perf_counter()
    environment = os.environ | {"STOA_HOME": str(one.data)}
    started = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        # A channel that was refused would wait before it tries again.
        while not listens(host, int(port)):
            time.sleep(0.005)
        with grpc.insecure_channel(one.endpoint(service)) as channel:
            answer = stub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        return time.perf_counter() - began
    finally:
        started.terminate()
        started.wait()


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def report(title: str, rounds: list[tuple[float, float]], goal: str) -> None:
    ratios = [ours / alone for ours, alone in rounds]
    ours, alone = (statistics.median(one[index] for one in rounds) * 1e3 for index in (0, 1))
    middle, spread = statistics.median(ratios), f"({min(ratios):.1f} to {max(ratios):.1f})"
    print(f"{title:34} {ours:5.0f} / {alone:4.0f} ms  {middle:4.1f} {spread}  {goal}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds

    def alternate(
        work: Callable[[], float], alone: Callable[[], float]
    ) -> list[tuple[float, float]]:
        work(), alone()
        return [(work(), alone()) for _ in range(rounds)]

    bare = (sys.executable, "-c", "pass")
    imports = (sys.executable, "-c", "import grpc")
    command = alternate(lambda: timed(STOA, "--version"), lambda: timed(*bare))
    report("stoa --version / python", command, "goal <= 4")
    with installation() as one:
        stop(one, "catalog")
        found = alternate(lambda: ready(one, "catalog"), lambda: timed(*imports))
    report("catalog ready / import grpc", found, "goal <= 4.5")


if __name__ == "__main__":
    main()
