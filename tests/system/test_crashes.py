"""Killed at any point: nothing acknowledged is lost, nothing half-written is ever seen."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import pytest
from google.longrunning import operations_pb2
from stoa.catalog.v1 import image_resolution_pb2, image_version_pb2
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.provisioning_state_pb2 import (
    PROVISIONING_STATE_CREATING,
    PROVISIONING_STATE_SUCCEEDED,
)
from stoa.replication.v1 import (
    image_disk_service_pb2,
    region_pb2,
    replication_pb2,
    replication_service_pb2,
)
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.type.v1.replication_state_pb2 import REGIONAL_REPLICATION_STATE_COMPLETED

from tests.system.disks import MIB, Disk, noise
from tests.system.errors import refusal
from tests.system.installation import Client, Installation, eventually, installed
from tests.system.publishing import (
    HOME,
    OS,
    Place,
    begin,
    get_version,
    lun,
    make_image,
    make_regions,
    make_shop,
    read,
    store_of,
)
from tests.system.stores import StoreFiles

pytestmark = pytest.mark.timeout(240)

SLOW = "slowlane"
FAST = "fastlane"
REGIONS = {HOME: 1, FAST: 1, SLOW: 1}
# What becomes durable together, and so what one copy may do again after a crash.
WINDOW = 4 * MIB
# How long a copy stays with a process that was killed: short, so that tests are.
LEASE_SECONDS = "3"
# Slow enough that a copy is found in its middle on any machine.
BYTES_PER_SECOND = 4 * MIB


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("crashes")
    settings = {
        "STOA_REPLICATION_COPY_WINDOW_BYTES": str(WINDOW),
        "STOA_REPLICATION_LEASE_SECONDS": LEASE_SECONDS,
        "STOA_CATALOG_LEASE_SECONDS": LEASE_SECONDS,
    }
    with installed(folder, **settings) as installation:
        limits = region_pb2.RegionLimits(bandwidth_bytes_per_second=BYTES_PER_SECOND)
        places = [Place(HOME, "East US"), Place(FAST, "Fast Lane"), Place(SLOW, "Slow Lane")]
        make_regions(installation, places, slowlane=limits)
        yield installation


@pytest.fixture
def fragile(standing: Installation) -> Installation:
    """An installation that tests may kill; the one before may have left it so."""
    standing.up()
    return standing


@dataclass
class Copying:
    """A version on its way into the regions."""

    installation: Installation
    owner: Client
    disks: dict[str, Disk]
    operation: operations_pb2.Operation
    name: str
    uid: str

    def store(self, region: str) -> StoreFiles:
        return StoreFiles(store_of(self.installation, region))

    def replication(self) -> replication_pb2.Replication:
        return self.owner.of(ReplicationServiceStub).GetReplication(
            replication_service_pb2.GetReplicationRequest(name=self.name)
        )

    def region(self, location: str) -> replication_pb2.RegionReplication:
        (found,) = [one for one in self.replication().regions if one.location == location]
        return found

    def readable(self, region: str) -> set[str]:
        """The disks that can be read in a region, each compared with its source."""
        found = set()
        for name, disk in self.disks.items():
            selector = OS if name == "os" else lun(int(name))
            try:
                content = read(self.owner, self.name, selector, region)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
                continue
            assert content.digest == disk.digest
            found.add(name)
        return found

    def assert_whole_or_absent(self) -> None:
        """In each region there are all disks of the version, or none."""
        usable = {
            one.location: one.usable
            for one in get_version(self.owner, self.name).replication_status.summary
        }
        for region in REGIONS:
            ref = self.store(region).ref(self.uid)
            if ref is not None:
                assert set(ref["disks"]) == set(self.disks)
            readable = self.readable(region)
            if readable and "os" not in readable:
                # Committed between the first disk, which is asked for first, and the next.
                readable = self.readable(region)
            assert readable in (set(), set(self.disks))
            if usable.get(region):
                assert readable == set(self.disks)

    def assert_complete(self) -> None:
        version = self.owner.result(self.operation, image_version_pb2.ImageVersion)
        assert version.provisioning_state == PROVISIONING_STATE_SUCCEEDED
        assert version.uid == self.uid
        for region in REGIONS:
            assert self.readable(region) == set(self.disks)
            assert self.region(region).state == REGIONAL_REPLICATION_STATE_COMPLETED

    def bytes_again(self, region: str) -> int:
        """How much was copied more than once: it raised the total."""
        total = self.region(region).progress.bytes.total_bytes
        return total - sum(disk.size for disk in self.disks.values())


def copying(installation: Installation, seed: int, *sizes: int) -> Copying:
    """Begin to publish a version of disks of so many MiB of noise."""
    owner = installation.client()
    shop = make_shop(owner)
    found = [noise(size, seed + number) for number, size in enumerate(sizes)]
    image = make_image(owner, shop.group, *found)
    operation, name = begin(shop, image, REGIONS)
    disks = {"os": found[0]} | {str(number): disk for number, disk in enumerate(found[1:])}
    return Copying(installation, owner, disks, operation, name, get_version(owner, name).uid)


def stop_copying(installation: Installation) -> None:
    """Hold the copies where they are, so that what is looked at is what is then killed."""
    os.kill(installation.workers("replication"), signal.SIGSTOP)


def kill_workers(installation: Installation) -> None:
    os.kill(installation.workers("replication"), signal.SIGKILL)


def kill_service(installation: Installation) -> None:
    installation.kill("replication")
    installation.restart("replication")


@pytest.mark.parametrize("kill", [kill_workers, kill_service])
def test_a_copy_killed_in_its_middle_goes_on_behind_what_was_durable(
    fragile: Installation, kill: Callable[[Installation], None]
) -> None:
    version = copying(fragile, 100 if kill is kill_workers else 200, 20, 4)
    slow = version.store(SLOW)
    # What was finished elsewhere must not be touched either.
    eventually(lambda: version.store(FAST).ref(version.uid), "the fast region is committed")
    eventually(lambda: len(slow.journals()) >= 3, "three durable windows in the slow region")
    stop_copying(fragile)
    assert slow.ref(version.uid) is None
    version.assert_whole_or_absent()
    before = {region: version.store(region).objects() for region in REGIONS}

    kill(fragile)

    version.assert_whole_or_absent()
    version.assert_complete()
    for region in REGIONS:
        after = version.store(region).objects()
        assert {key: after.get(key) for key in before[region]} == before[region]
    for region in (HOME, FAST):
        assert version.bytes_again(region) == 0
    # One window may have been under way for each disk that was being copied.
    assert version.bytes_again(SLOW) <= len(version.disks) * WINDOW
    progress = version.region(SLOW).progress.bytes
    done = progress.copied_bytes + progress.deduplicated_bytes + progress.zero_bytes
    assert done == progress.total_bytes
    eventually(lambda: not slow.journals(), "journals of what is committed are deleted")


def test_killed_between_two_disks_no_region_shows_a_part(fragile: Installation) -> None:
    version = copying(fragile, 300, 4, 16)

    def one_disk_is_there() -> bool:
        (replica,) = version.region(SLOW).replicas
        states = {
            (one.progress.bytes.total_bytes > 0)
            and one.progress.bytes.copied_bytes + one.progress.bytes.deduplicated_bytes
            >= version.disks[str(one.disk.lun) if one.disk.HasField("lun") else "os"].size
            for one in replica.disks
        }
        return states == {True, False}

    eventually(version.store(SLOW).journals, "a durable window in the slow region")
    eventually(one_disk_is_there, "one disk whole and the other not")
    stop_copying(fragile)
    assert version.store(SLOW).ref(version.uid) is None

    fragile.kill("replication")

    for region in REGIONS:
        ref = version.store(region).ref(version.uid)
        assert ref is None or set(ref["disks"]) == set(version.disks)
    assert version.store(SLOW).ref(version.uid) is None
    summary = get_version(version.owner, version.name).replication_status.summary
    assert not {one.location: one.usable for one in summary}[SLOW]
    resolve = image_resolution_pb2.ResolveImageVersionRequest(image=version.name, location=SLOW)
    unresolved = refusal(version.owner.of(ImageVersionServiceStub).ResolveImageVersion, resolve)
    assert (unresolved.code, unresolved.info.reason) == (
        grpc.StatusCode.NOT_FOUND,
        "NOT_IN_REGION",
    )

    fragile.restart("replication")

    for disk in (OS, lun(0)):
        request = image_disk_service_pb2.ReadDiskRequest(
            name=version.name, location=SLOW, disk=disk
        )
        found = refusal(version.owner.of(ImageDiskServiceStub).ReadDisk, request)
        assert (found.code, found.info.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_IN_REGION")
    version.assert_whole_or_absent()
    version.assert_complete()


def test_catalog_killed_before_it_could_tell_replication_tells_it_after(
    fragile: Installation,
) -> None:
    # The workers send what the server has committed; stopped, they cannot.
    fragile.hold_workers("catalog")
    version = copying(fragile, 400, 2)
    found = get_version(version.owner, version.name)
    assert found.provisioning_state == PROVISIONING_STATE_CREATING
    unknown = refusal(
        version.owner.of(ReplicationServiceStub).GetReplication,
        replication_service_pb2.GetReplicationRequest(name=version.name),
    )
    assert unknown.code == grpc.StatusCode.NOT_FOUND

    fragile.kill("catalog")
    fragile.restart("catalog")

    version.assert_complete()
