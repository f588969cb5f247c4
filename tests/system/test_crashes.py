"""Killed at any point: nothing acknowledged is lost, nothing half-written is ever seen."""

import os
import signal
from collections.abc import Callable, Iterator

import grpc
import pytest
from stoa.catalog.v1 import image_resolution_pb2
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.provisioning_state_pb2 import (
    PROVISIONING_STATE_CREATING,
)
from stoa.replication.v1 import (
    image_disk_service_pb2,
    replication_service_pb2,
)
from stoa.replication.v1.image_disk_service_pb2_grpc import ImageDiskServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

from tests.system.copying import FAST, REGIONS, SLOW, WINDOW, copying, fragile_installation
from tests.system.errors import refusal
from tests.system.installation import Installation, eventually
from tests.system.publishing import (
    HOME,
    OS,
    get_version,
    lun,
)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with fragile_installation(tmp_path_factory.mktemp("crashes")) as installation:
        yield installation


@pytest.fixture
def fragile(standing: Installation) -> Installation:
    """An installation that tests may kill; the one before may have left it so."""
    standing.up()
    return standing


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
