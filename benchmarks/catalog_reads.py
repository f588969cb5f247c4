"""Reads of the catalog among a million versions against the same among a thousand.

    python -m benchmarks.catalog_reads [--few 1000] [--many 1000000] [--rounds 7] [--seconds 1.0]

Two installations, whose servers share the first core in turn; the client runs on the last. Every
version is of one definition. CPU is that of the server process for each call; ratios are taken
round by round, and the median is printed with the range.
"""

import argparse
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from stoa.catalog.v1 import image_resolution_pb2 as resolution_pb
from stoa.catalog.v1 import image_version_requests_pb2 as pb
from stoa.catalog.v1 import image_version_service_pb2_grpc as rpc

from benchmarks.calls import CORES, Arm, Measured, measure, pin, servers_of
from benchmarks.catalog_rows import Numbered, multiply
from benchmarks.installation import Installation, installation, with_image

SERVICE = "/stoa.catalog.v1.ImageVersionService"
PAGE = 100
# Walked with, to come to the end of a list.
WALK = 1000
DIFFERENT = 2000
READS = ("get", "get, the same", "first page", "middle page", "last page", "recent", "latest")


def filled(one: Installation, count: int) -> str:
    """Publish one version and multiply it; answer the name of the definition."""
    name = with_image(one)
    (database,) = (one.data / "catalog").glob("*.db")
    multiply(database, name, count)
    return name.rpartition("/versions/")[0]


def tokens(one: Installation, definition: str, count: int) -> tuple[str, str]:
    """Walk through a list; answer the tokens of a page in its middle and of the last full one."""
    metadata = (("authorization", f"Bearer {one.token()}"),)
    found: dict[int, str] = {}
    # The version of which the others were made is listed too.
    left, token = count + 1, ""
    with grpc.insecure_channel(one.endpoint("catalog")) as channel:
        stub = rpc.ImageVersionServiceStub(channel)
        while left >= 2 * PAGE:
            size = WALK if left >= WALK + PAGE else PAGE
            request = pb.ListImageVersionsRequest(
                parent=definition, page_size=size, page_token=token
            )
            page = stub.ListImageVersions(request, metadata=metadata, timeout=30)
            assert len(page.image_versions) == size
            left -= size
            token = found[left] = page.next_page_token
    middle = min(found, key=lambda left: abs(left - count // 2))
    return found[middle], found[min(found)]


def requests(one: Installation, definition: str, count: int) -> dict[str, tuple[str, list[Any]]]:
    """What is asked: the method, and the requests that are sent in turn."""
    middle, last = tokens(one, definition, count)
    chosen = random.Random(1)
    names = [Numbered(definition, chosen.randrange(count)).name for _ in range(DIFFERENT)]

    def page(**more: Any) -> tuple[str, list[Any]]:
        listed = pb.ListImageVersionsRequest(parent=definition, page_size=PAGE, **more)
        return "ListImageVersions", [listed]

    return {
        "get": ("GetImageVersion", [pb.GetImageVersionRequest(name=name) for name in names]),
        "get, the same": ("GetImageVersion", [pb.GetImageVersionRequest(name=names[0])]),
        "first page": page(),
        "middle page": page(page_token=middle),
        "last page": page(page_token=last),
        "recent": page(order_by="publish_time desc"),
        "latest": (
            "ResolveImageVersion",
            [resolution_pb.ResolveImageVersionRequest(image=definition, location="east")],
        ),
    }


def arms(one: Installation, label: str, count: int, in_flight: int) -> list[Arm]:
    definition = filled(one, count)
    target = one.endpoint("catalog")
    (server,) = servers_of(int(target.rpartition(":")[2]))
    pin(server, CORES[0])
    common = {
        "in_flight": in_flight,
        "target": target,
        "metadata": [["authorization", f"Bearer {one.token()}"]],
    }
    return [
        Arm(
            f"{label} {name}",
            server,
            common
            | {
                "method": f"{SERVICE}/{method}",
                "requests": [request.SerializeToString().hex() for request in sent],
            },
        )
        for name, (method, sent) in requests(one, definition, count).items()
    ]


@contextmanager
def loadgen() -> Iterator[subprocess.Popen[str]]:
    client = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("loadgen.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pin(client.pid, CORES[-1])
    try:
        yield client
    finally:
        client.terminate()
        client.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--in-flight", type=int, default=4)
    chosen = parser.parse_args()
    one_server = {"STOA_CATALOG_SERVERS": "1"}
    with (
        installation(**one_server) as small,
        installation(**one_server) as large,
        loadgen() as client,
    ):
        pairs = list(
            zip(
                arms(small, "few", chosen.few, chosen.in_flight),
                arms(large, "many", chosen.many, chosen.in_flight),
                strict=True,
            )
        )
        for pair in pairs:
            for arm in pair:
                measure(client, arm, 0.5)
        rounds = [
            {arm.name: measure(client, arm, chosen.seconds) for pair in pairs for arm in pair}
            for _ in range(chosen.rounds)
        ]
    report(rounds, chosen.few, chosen.many)


def ratio(rounds: Sequence[dict[str, Measured]], above: str, below: str) -> str:
    ratios = [one[above].cpu / one[below].cpu for one in rounds]
    return f"{statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"


def report(rounds: Sequence[dict[str, Measured]], few: int, many: int) -> None:
    print(f"CPU of the server for a call, us{'':12}{few:>12,}{many:>14,}   many / few")
    for name in READS:
        cells = [
            statistics.median(one[f"{label} {name}"].cpu for one in rounds) * 1e6
            for label in ("few", "many")
        ]
        told = ratio(rounds, f"many {name}", f"few {name}")
        # A thread remembers a thousand rows: all of the few, and nothing of the many.
        goal = 1.3 if name == "get" else 1.1
        print(f"{name:43}{cells[0]:12.0f}{cells[1]:14.0f}   {told}  goal <= {goal}")
    for name in ("middle page", "last page"):
        told = ratio(rounds, f"many {name}", "many first page")
        print(f"{name} / first page, of {many:,}:  {told}  goal <= 1.1")


if __name__ == "__main__":
    main()
