"""Watchers that die all at once cost nobody else anything."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.longrunning import operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub
from stoa.replication.v1 import region_pb2, replication_pb2, replication_watch_pb2
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from tests.system.disks import MIB, noise
from tests.system.installation import Installation, eventually
from tests.system.publishing import Place, begin, make_image, make_regions, make_shop

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
WATCHERS = 1000
SLOW = Place("crowdlane", "Crowd Lane")


def test_a_thousand_watchers_killed_at_once_leave_the_others_watching(
    installation: Installation,
) -> None:
    # The copy must outlast the coming and going of the watchers; it is cancelled at the end.
    limits = region_pb2.RegionLimits(bandwidth_bytes_per_second=MIB // 4)
    make_regions(installation, [SLOW], crowdlane=limits)
    owner = installation.client()
    shop = make_shop(owner)
    image = make_image(owner, shop.group, noise(64, 51))
    operation, version = begin(shop, image, {"eastus": 1, SLOW.id: 1})
    request = replication_watch_pb2.WatchReplicationRequest(name=version, minimum_generation=1)
    staying = owner.of(ReplicationServiceStub).WatchReplication(request, timeout=240)
    first = next(one for one in staying if one.replication)
    server = installation.server("replication")
    before = sockets(server)

    for _ in range(2):
        crowd = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.system.many_watchers"),
                *(installation.view.endpoints["replication"], installation.token()),
                *(version, str(WATCHERS)),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert crowd.stdout is not None
        try:
            assert crowd.stdout.readline() == "watching\n"
        finally:
            crowd.send_signal(signal.SIGKILL)
            crowd.wait()
            crowd.stdout.close()
        eventually(lambda: sockets(server) <= before, "the connections of the dead are closed")

    # Told to it after them all: it was neither ended nor forgotten.
    operations: Any = OperationsStub(owner.channel("catalog"))
    operations.CancelOperation(operations_pb2.CancelOperationRequest(name=operation.name))
    end = next(one.end for one in staying if one.HasField("end"))
    assert end.state == replication_pb2.Replication.STATE_CANCELLED
    assert first.HasField("snapshot")


def sockets(pid: int) -> int:
    """How many sockets a process has."""
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += os.readlink(link).startswith("socket:")
        except FileNotFoundError:
            continue
    return count
