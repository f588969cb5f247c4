"""GetImageVersion against a bare grpc.aio echo: rates and CPU of the server, arms alternating.

    python -m benchmarks.calls [--database NAME] [--rounds 7] [--seconds 1.5] [--in-flight 16]

The servers run on the first core, the client on the last. Ratios are taken round by round; the
median is printed with the range. CPU is that of the server process for each call, without that
of a PostgreSQL. The machine should be quiet: the spread tells whether it was.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoa.catalog.v1 import image_version_requests_pb2

from benchmarks.installation import installation, with_image
from benchmarks.postgresql import postgresql

TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
GOALS = {
    "sqlite": (("rate", ">= 0.95"), ("CPU", "<= 1.1")),
    "postgresql": (("rate", ">= 0.8"), ("CPU", "<= 1.7")),
}


@dataclass(frozen=True)
class Arm:
    name: str
    pid: int
    job: dict[str, Any]


@dataclass(frozen=True)
class Measured:
    rate: float
    cpu: float
    p50: float
    p99: float


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(client: subprocess.Popen[str], arm: Arm, seconds: float) -> Measured:
    assert client.stdin is not None
    assert client.stdout is not None
    before = cpu_seconds(arm.pid)
    client.stdin.write(json.dumps(arm.job | {"seconds": seconds}) + "\n")
    client.stdin.flush()
    answer = json.loads(client.stdout.readline())
    used = cpu_seconds(arm.pid) - before
    calls = answer["calls"]
    return Measured(calls / seconds, used / calls, answer["p50"], answer["p99"])


def servers_of(port: int) -> list[int]:
    """The processes that listen on a TCP port of loopback."""
    inodes = set()
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    for line in (line for table in tables for line in table.read_text().splitlines()[1:]):
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
            inodes.add(f"socket:[{fields[9]}]")
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(link) in inodes for link in folder.iterdir()):
                found.append(int(folder.parent.name))
        except OSError:
            continue
    return found


def pin(pid: int, core: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=GOALS, help="only this one")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--in-flight", type=int, default=16)
    chosen = parser.parse_args()
    for database in [chosen.database] if chosen.database else GOALS:
        report(rounds_of(database, chosen), database)


def rounds_of(database: str, chosen: argparse.Namespace) -> list[dict[str, Measured]]:
    """Measure both arms on one database, as often as was chosen."""
    folder = Path(__file__).parent
    echo = subprocess.Popen(
        [sys.executable, str(folder / "echo_server.py")], stdout=subprocess.PIPE, text=True
    )
    client = subprocess.Popen(
        [sys.executable, str(folder / "loadgen.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert echo.stdout is not None
    echo_port = int(echo.stdout.readline())
    try:
        with ExitStack() as stack:
            settings = {"STOA_CATALOG_SERVERS": "1"}
            if database == "postgresql":
                settings["STOA_CATALOG_DATABASE_URL"] = stack.enter_context(postgresql())
            one = stack.enter_context(installation(**settings))
            name = with_image(one)
            target = one.endpoint("catalog")
            (server,) = servers_of(int(target.rpartition(":")[2]))
            pin(server, CORES[0])
            pin(echo.pid, CORES[0])
            pin(client.pid, CORES[-1])
            request = image_version_requests_pb2.GetImageVersionRequest(name=name)
            common = {"in_flight": chosen.in_flight}
            arms = [
                Arm(
                    "echo",
                    echo.pid,
                    common
                    | {
                        "target": f"127.0.0.1:{echo_port}",
                        "method": "/echo/Echo",
                        "request": os.urandom(64).hex(),
                        "metadata": [],
                    },
                ),
                Arm(
                    "GetImageVersion",
                    server,
                    common
                    | {
                        "target": target,
                        "method": "/stoa.catalog.v1.ImageVersionService/GetImageVersion",
                        "request": request.SerializeToString().hex(),
                        "metadata": [["authorization", f"Bearer {one.token()}"]],
                    },
                ),
            ]
            for arm in arms:
                measure(client, arm, 1.0)
            return [
                {arm.name: measure(client, arm, chosen.seconds) for arm in arms}
                for _ in range(chosen.rounds)
            ]
    finally:
        for process in (echo, client):
            process.terminate()
            process.wait()


def report(rounds: list[dict[str, Measured]], database: str) -> None:
    for name in rounds[0]:
        ours = [one[name] for one in rounds]
        print(
            f"{name:20} {statistics.median(m.rate for m in ours):7.0f} calls/s"
            f"  p50 {statistics.median(m.p50 for m in ours) * 1e3:5.2f} ms"
            f"  p99 {statistics.median(m.p99 for m in ours) * 1e3:6.2f} ms"
            f"  {statistics.median(m.cpu for m in ours) * 1e6:5.0f} us of server CPU a call"
        )
    rates = [one["GetImageVersion"].rate / one["echo"].rate for one in rounds]
    costs = [one["GetImageVersion"].cpu / one["echo"].cpu for one in rounds]
    for (title, goal), ratios in zip(GOALS[database], (rates, costs), strict=True):
        middle = statistics.median(ratios)
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"GetImageVersion / echo, {database}, {title:5} {middle:5.2f}  {spread}  goal {goal}")


if __name__ == "__main__":
    main()
