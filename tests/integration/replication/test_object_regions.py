"""Regions in buckets of real servers, and what they do to others when they fail."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.replication.content.progress import CopyOptions
from services.replication.content.refs import read_version
from services.replication.domain.states import CopyState, RegionState, ReplicationState
from tests.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.faults.workers import on_sqlite
from tests.integration.replication.world import MIB, World, some_bytes
from tests.object_servers import ObjectServer

UID = "a" * 32
DATA = some_bytes(9 * MIB) + bytes(8 * MIB) + some_bytes(MIB, seed=2)
# What a request may take before its server counts as away.
PATIENCE = {"timeout": "2s", "connect_timeout": "2s"}


@pytest.fixture(params=["s3", "azure"])
def server(request: pytest.FixtureRequest) -> ObjectServer:
    found: ObjectServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy(s3: ObjectServer) -> Iterator[FaultProxy]:
    with fault_proxy(s3.port) as made:
        yield made


@pytest.fixture
def faulty(world: World, s3: ObjectServer, proxy: FaultProxy) -> World:
    """A home region of a directory, a healthy one, and one in a bucket behind the proxy."""
    world.add_region("home")
    world.add_region("east")
    world.add_region("bucket", stores=[s3.address(proxy.port, **PATIENCE)])
    return world


def test_a_disk_goes_into_a_bucket_and_from_there_into_a_directory(
    world: World, server: ObjectServer
) -> None:
    world.add_region("home")
    world.add_region("bucket", stores=[server.address(), server.address()])
    disks = {"os": world.upload("os", DATA)}
    with world.working():
        view = world.wait_end(world.ensure(world.desired(disks, {"bucket": 2, "home": 1})).id)
        assert view.record.state is ReplicationState.COMPLETED
        for slot in ("s1", "s2"):
            assert world.content(UID, "bucket", "os", slot) == DATA


def test_a_bucket_is_a_home_that_others_copy_from(world: World, server: ObjectServer) -> None:
    world.add_region("home", stores=[server.address()])
    world.add_region("east")
    disks = {"os": world.upload("os", DATA)}
    with world.working():
        view = world.wait_end(world.ensure(world.desired(disks, {"home": 1, "east": 1})).id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(UID, "east", "os") == DATA


def test_regions_that_copy_from_a_bucket_at_once_read_it_once(
    world: World, s3: ObjectServer, proxy: FaultProxy
) -> None:
    others = ("east", "north", "west")
    world.add_region("home", stores=[s3.address(proxy.port)])
    for location in others:
        world.add_region(location)
    disks = {"os": world.upload("os", DATA)}
    regions = {"home": 1, **dict.fromkeys(others, 1)}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 1})).id)
        # All three have asked for the manifest before any of them is answered.
        proxy.fault = Fault.SLOW
        record = world.ensure(world.desired(disks, regions, generation=2))
        pause = threading.Event()
        while proxy.met[Fault.SLOW] < len(others):
            pause.wait(0.01)
        before = proxy.answered
        proxy.gate.release(1 << 20)
        assert world.wait_end(record.id).record.state is ReplicationState.COMPLETED
    occupied = len(DATA) - 8 * MIB
    assert occupied < proxy.answered - before < 1.2 * occupied
    assert [world.replica(one).source_location for one in others] == ["home"] * 3
    for location in others:
        assert world.content(UID, location, "os") == DATA


def test_a_replica_leaves_its_bucket(world: World, server: ObjectServer) -> None:
    world.add_region("home")
    world.add_region("bucket", stores=[server.address()])
    disks = {"os": world.upload("os", b"x" * 9)}
    with world.working():
        world.wait_end(world.ensure(world.desired(disks, {"home": 1, "bucket": 1})).id)
        world.wait_end(world.ensure(world.desired(disks, {"home": 1}, generation=2)).id)
        world.wait_state(CopyState.REMOVED, "bucket")
    assert read_version(world.slot_store("bucket"), UID) is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.REFUSE, "STORE_UNAVAILABLE"),
        (Fault.BLACK_HOLE, "STORE_UNAVAILABLE"),
        (Fault.SLOW_DOWN, "STORE_UNAVAILABLE"),
        (Fault.TOO_MANY, "STORE_UNAVAILABLE"),
        (Fault.FULL, "STORE_FULL"),
    ],
)
def test_a_region_that_fails_is_waited_for_and_the_others_are_not(
    faulty: World, proxy: FaultProxy, fault: Fault, reason: str
) -> None:
    disks = {"os": faulty.upload("os", DATA)}
    wanted = faulty.desired(disks, {"home": 1, "east": 1, "bucket": 1})
    proxy.fault = fault
    record = faulty.ensure(wanted)
    with faulty.working():
        for location in ("home", "east"):
            faulty.wait_state(CopyState.COMPLETED, location)
        paused = faulty.wait_state(CopyState.PAUSED, "bucket")
        assert paused.cause is not None
        assert (paused.cause.reason, paused.cause.retryable) == (reason, True)
        assert proxy.met[fault] > 0
        proxy.fault = Fault.NONE
        view = faulty.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert all(one.region.state is RegionState.COMPLETED for one in view.regions)
    # What is outside uses up no attempt of the replica.
    assert faulty.replica("bucket").failures == 0
    assert faulty.content(UID, "bucket", "os") == DATA


@on_sqlite
def test_a_region_that_takes_one_request_at_a_time_is_sent_few(
    faulty: World, proxy: FaultProxy
) -> None:
    many = replace(faulty.settings, options=CopyOptions(workers=12, window_bytes=64 * MIB))
    world = World(faulty.db, faulty.root, many)
    data = some_bytes(160 * MIB, seed=3)
    wanted = world.desired({"os": world.upload("os", data)}, {"home": 1, "bucket": 1})
    proxy.fault = Fault.CROWDED
    with world.working():
        view = world.wait_end(world.ensure(wanted).id, timeout=60)
    assert view.record.state is ReplicationState.COMPLETED
    assert proxy.met[Fault.SLOW_DOWN] > 0
    # Twelve at once would be refused again and again, and the copy begun anew each time.
    assert world.replica("bucket").attempt == 1


def test_a_region_that_crawls_does_not_hold_up_the_others(faulty: World, proxy: FaultProxy) -> None:
    disks = {"os": faulty.upload("os", DATA)}
    proxy.fault = Fault.SLOW
    record = faulty.ensure(faulty.desired(disks, {"home": 1, "east": 1, "bucket": 1}))
    with faulty.working():
        for location in ("home", "east"):
            faulty.wait_state(CopyState.COMPLETED, location)
        assert faulty.replica("bucket").state is not CopyState.COMPLETED
        proxy.fault = Fault.NONE
        proxy.gate.release(1 << 20)
        assert faulty.wait_end(record.id).record.state is ReplicationState.COMPLETED
    assert faulty.content(UID, "bucket", "os") == DATA
