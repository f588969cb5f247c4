"""Workers beside the services: of some regions or all, and one in the stead of another."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from stoa.catalog.v1 import image_version_pb2
from stoa.replication.v1 import region_pb2
from stoa.type.v1.replication_state_pb2 import REGIONAL_REPLICATION_STATE_COMPLETED

from cli.installation.process_table import members
from tests.system.disks import MIB, noise
from tests.system.installation import Installation, eventually, installed
from tests.system.publishing import (
    HOME,
    OS,
    Place,
    begin,
    get_version,
    make_image,
    make_regions,
    make_shop,
    publish,
    read,
    store_of,
)
from tests.system.stores import StoreFiles

pytestmark = pytest.mark.timeout(240)

SLOW = "slowlane"
# Slow enough that a copy is found in its middle on any machine.
BYTES_PER_SECOND = 4 * MIB
WINDOW = 4 * MIB
# Longer than the tests: what goes on does not go on because a lease ran out.
FOREVER = "3600"


@contextmanager
def standing(folder: Path, workers: int, lease: str) -> Iterator[Installation]:
    settings = {
        "STOA_REPLICATION_WORKERS": str(workers),
        "STOA_REPLICATION_COPY_WINDOW_BYTES": str(WINDOW),
        "STOA_REPLICATION_LEASE_SECONDS": lease,
    }
    with installed(folder, **settings) as installation:
        limits = region_pb2.RegionLimits(bandwidth_bytes_per_second=BYTES_PER_SECOND)
        make_regions(
            installation, [Place(HOME, "East US"), Place(SLOW, "Slow Lane")], slowlane=limits
        )
        yield installation


@contextmanager
def worker(installation: Installation, lease: str, *options: str) -> Iterator[int]:
    """Run `stoa worker` beside an installation; answers the pid of its parent process."""
    environ = {**os.environ, "STOA_REPLICATION_LEASE_SECONDS": lease}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "cli.main", "worker"),
            *("--data", str(installation.layout.data), *options),
        ],
        env=environ | {"STOA_REPLICATION_COPY_WINDOW_BYTES": str(WINDOW)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def regions_done(installation: Installation, name: str) -> Sequence[str]:
    version = get_version(installation.client(), name)
    return [
        one.location
        for one in version.replication_status.summary
        if one.state == REGIONAL_REPLICATION_STATE_COMPLETED
    ]


def test_a_killed_worker_is_followed_by_the_next_without_waiting_for_its_lease(
    tmp_path: Path,
) -> None:
    with standing(tmp_path, 1, FOREVER) as installation:
        owner = installation.client()
        shop = make_shop(owner)
        disk = noise(24, 1)
        operation, name = begin(shop, make_image(owner, shop.group, disk), {HOME: 1, SLOW: 1})
        slow = StoreFiles(store_of(installation, SLOW))
        eventually(lambda: len(slow.journals()) >= 1, "a durable window in the slow region")

        os.kill(installation.workers("replication"), signal.SIGKILL)

        owner.result(operation, image_version_pb2.ImageVersion)
        assert read(owner, name, OS, SLOW).digest == disk.digest


def test_workers_of_regions_copy_into_these_and_take_over_from_one_another(
    tmp_path: Path,
) -> None:
    lease = "2"
    with standing(tmp_path, 0, lease) as installation:
        owner = installation.client()
        shop = make_shop(owner)
        disk = noise(24, 2)
        operation, name = begin(shop, make_image(owner, shop.group, disk), {HOME: 1, SLOW: 1})
        slow = StoreFiles(store_of(installation, SLOW))
        with worker(installation, lease, "--region", HOME):
            eventually(lambda: regions_done(installation, name) == [HOME], "home is copied")
            assert not slow.journals()
            with worker(installation, lease, "--region", SLOW) as first:
                eventually(slow.journals, "a durable window in the slow region")
                before = slow.objects()
                # All of it: nobody is left who would start another one.
                for pid, _ in members(first):
                    os.kill(pid, signal.SIGKILL)
            with worker(installation, lease, "--region", SLOW, "--count", "2"):
                owner.result(operation, image_version_pb2.ImageVersion)
        assert {key: slow.objects()[key] for key in before} == before
        assert read(owner, name, OS, SLOW).digest == disk.digest
        with worker(installation, lease):
            publish(shop, make_image(owner, shop.group, noise(1, 3)), {HOME: 1}, "2.0.0")
