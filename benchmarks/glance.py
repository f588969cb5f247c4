"""Stoa beside OpenStack Glance: server CPU for each request, arms alternating.

    python -m benchmarks.glance [--rounds 5] [--calls 200] [--in-flight 16]

Glance reads who calls from headers and verifies nothing; Stoa verifies a token, validates the
request and decides by its policy. CPU is that of all processes that serve. Creating an image in
Glance is compared with creating an image definition: both make one durable row of metadata.
"""

import argparse
import http.client
import itertools
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from stoa.catalog.v1 import (
    image_definition_pb2,
    image_definition_service_pb2,
    image_definition_service_pb2_grpc,
    image_version_requests_pb2,
    image_version_service_pb2_grpc,
)
from stoa.type.v1 import os_type_pb2

from benchmarks.calls import cpu_seconds, servers_of
from benchmarks.glance_server import HEADERS, Glance, glance
from benchmarks.installation import Installation, installation, with_image

PAGE: Final = 25
TRIES: Final = 5
_NUMBERS: Final = itertools.count()
_GOALS: Final = {"get": 10.0, "create": 5.0, "list": 5.0}


@dataclass(frozen=True)
class Arm:
    """One system doing one thing; `pids` answers the processes that serve it."""

    system: str
    work: str
    pids: Callable[[], list[int]]
    call: Callable[[], None]


def run(arm: Arm, calls: int, in_flight: int) -> tuple[float, float]:
    """Answer calls a second and the seconds of server CPU a call took."""
    left = iter(range(calls))
    lock = threading.Lock()
    failures: list[BaseException] = []

    def loop() -> None:
        while not failures:
            with lock:
                if next(left, None) is None:
                    return
            try:
                arm.call()
            except BaseException as error:
                failures.append(error)
                raise

    pids = arm.pids()
    before = sum(map(cpu_seconds, pids))
    start = time.perf_counter()
    threads = [threading.Thread(target=loop) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - start
    if failures:
        raise failures[0]
    return calls / taken, (sum(map(cpu_seconds, pids)) - before) / calls


def glance_arms(server: Glance) -> list[Arm]:
    def request(method: str, path: str, body: bytes | None = None, expected: int = 200) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = HEADERS | ({"Content-Type": "application/json"} if body else {})
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status != expected:
            raise RuntimeError(f"{method} {path}: {response.status}")
        return answer

    def create() -> bytes:
        image = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
        for _ in range(TRIES - 1):
            # Glance fails where its database stays locked for too long: a client tries again.
            with suppress(RuntimeError):
                return request("POST", "/v2/images", json.dumps(image).encode(), 201)
        return request("POST", "/v2/images", json.dumps(image).encode(), 201)

    image = json.loads(create())["id"]
    for _ in range(PAGE):
        create()

    def arm(work: str, call: Callable[[], object]) -> Arm:
        return Arm("Glance", work, lambda: server.workers, lambda: void(call()))

    return [
        arm("get", lambda: request("GET", f"/v2/images/{image}")),
        arm("create", create),
        arm("list", lambda: request("GET", f"/v2/images?limit={PAGE}")),
    ]


def stoa_arms(one: Installation, channel: grpc.Channel, pids: list[int]) -> list[Arm]:
    version = with_image(one)
    gallery = version.split("/images/", 1)[0]
    metadata = (("authorization", f"Bearer {one.token()}"),)
    definitions = image_definition_service_pb2_grpc.ImageDefinitionServiceStub(channel)
    versions = image_version_service_pb2_grpc.ImageVersionServiceStub(channel)

    def create() -> object:
        number = next(_NUMBERS)
        definition = image_definition_pb2.ImageDefinition(
            location="east",
            os_type=os_type_pb2.OS_TYPE_LINUX,
            os_state=os_type_pb2.OS_STATE_GENERALIZED,
            identifier=image_definition_pb2.ImageIdentifier(
                publisher="Contoso", offer="Bench", sku=f"sku{number}"
            ),
        )
        return definitions.CreateImageDefinition(
            image_definition_service_pb2.CreateImageDefinitionRequest(
                parent=gallery, image_definition_id=f"d{number}", image_definition=definition
            ),
            metadata=metadata,
            timeout=60,
        )

    for _ in range(PAGE):
        create()
    get = image_version_requests_pb2.GetImageVersionRequest(name=version)
    page = image_definition_service_pb2.ListImageDefinitionsRequest(parent=gallery, page_size=PAGE)

    def arm(work: str, call: Callable[[], object]) -> Arm:
        return Arm("Stoa", work, lambda: pids, lambda: void(call()))

    return [
        arm("get", lambda: versions.GetImageVersion(get, metadata=metadata, timeout=60)),
        arm("create", create),
        arm(
            "list",
            lambda: definitions.ListImageDefinitions(page, metadata=metadata, timeout=60),
        ),
    ]


def void(_: object) -> None:
    """Drop an answer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--in-flight", type=int, default=16)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="stoa-glance-") as folder,
        glance(Path(folder) / "glance") as server,
        # A subscription's default limit of definitions is below what is created here.
        installation(STOA_CATALOG_SERVERS="1", STOA_CATALOG_MAX_IMAGE_DEFINITIONS="1000000") as one,
    ):
        target = one.endpoint("catalog")
        pids = servers_of(int(target.rpartition(":")[2]))
        with grpc.insecure_channel(target) as channel:
            pairs = list(zip(glance_arms(server), stoa_arms(one, channel, pids), strict=True))
            for pair in pairs:
                for arm in pair:
                    run(arm, 50, chosen.in_flight)
            for theirs, ours in pairs:
                rounds = [
                    [run(arm, chosen.calls, chosen.in_flight) for arm in (theirs, ours)]
                    for _ in range(chosen.rounds)
                ]
                report(theirs.work, rounds)


def report(work: str, rounds: list[list[tuple[float, float]]]) -> None:
    for index, system in enumerate(("Glance", "Stoa")):
        rate = statistics.median(one[index][0] for one in rounds)
        cpu = statistics.median(one[index][1] for one in rounds)
        print(f"{work:7} {system:7} {rate:7.0f} calls/s {cpu * 1e3:7.2f} ms of server CPU a call")
    # A short run may be below the kernel's tick of CPU time.
    ratios = [theirs[1] / max(ours[1], 1e-6) for theirs, ours in rounds]
    spread = f"({min(ratios):.1f} to {max(ratios):.1f})"
    goal = f"goal >= {_GOALS[work]:.0f}"
    print(f"{work:7} Glance / Stoa, CPU {statistics.median(ratios):5.1f}  {spread}  {goal}\n")


if __name__ == "__main__":
    main()
