"""PlanReplicas: what it says is what the copy then moves, and nothing is changed by it."""

import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from stoa.replication.v1 import desired_replicas_pb2 as pb
from stoa.replication.v1 import (
    region_pb2,
    replication_pb2,
    replication_plan_pb2,
    replication_service_pb2,
)
from stoa.type.v1 import storage_pb2

from services.kernel.ids import new_uid
from tests.vhd import fixed_vhd
from tests.wire.replication.service import MIB, Service, World, refused
from tests.wire.replication.test_sources import inspect, reason_of, store_file

SEGMENT = 4 * MIB
EXACT = replication_plan_pb2.PLAN_EXACTNESS_EXACT
ESTIMATE = replication_plan_pb2.PLAN_EXACTNESS_ESTIMATE
PRICES = {"prices": region_pb2.RegionPrices(currency_code="EUR", stored_gib_month_micros=1024)}
Sources = Mapping[str, pb.DiskSource]


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def plan(world: World, desired: pb.DesiredReplicas) -> list[replication_plan_pb2.RegionPlan]:
    request = replication_plan_pb2.PlanReplicasRequest(desired=desired)
    return list(world.catalog.replications.PlanReplicas(request).regions)


def new(
    world: World, disks: Sources, regions: Mapping[str, int], **more: Any
) -> pb.DesiredReplicas:
    """What would be wanted of a version that does not exist yet."""
    found = world.desired(disks, regions, generation=0)
    found.image_version_uid = ""
    for name, value in more.items():
        setattr(found, name, value)
    return found


def copied(world: World, desired: pb.DesiredReplicas) -> dict[str, Any]:
    """Bring a desired state about; answer the bytes that each region reports."""
    name = world.ensure(desired).replication
    last = [one for one in world.watch(name) if one.HasField("end")][-1]
    assert last.end.state == replication_pb2.Replication.STATE_COMPLETED, last
    return {one.location: one for one in world.get(name).regions}


def agrees(planned: replication_plan_pb2.RegionPlan, region: Any, replicas: int = 1) -> None:
    """Check a plan against what the copies of a region report, each of them anew."""
    counted = region.progress.bytes
    assert planned.written_bytes == counted.copied_bytes
    assert planned.zero_bytes * replicas == counted.zero_bytes
    assert planned.deduplicated_bytes * replicas == counted.deduplicated_bytes
    assert planned.size_bytes * replicas == counted.total_bytes


@pytest.fixture
def busy(working: Service, world: World) -> World:
    return world


def files(world: World) -> set[Path]:
    return {one for one in (world.service.folder / "stores").rglob("*") if one.is_file()}


def test_of_a_blob_exactly_that_is_moved_which_was_planned(busy: World) -> None:
    busy.region("home", slots=2)
    busy.region("far")
    shared, own = noise(1, SEGMENT), noise(2, SEGMENT)
    disks = {
        "os": busy.blob(shared + bytes(SEGMENT) + own + noise(3, 5 * MIB)),
        # The second disk brings nothing but what the first one has brought, and its own end.
        "0": busy.blob(shared + own + noise(4, MIB)),
    }
    before = files(busy)
    home, far = plan(busy, new(busy, disks, {"home": 2, "far": 1}))
    assert files(busy) == before
    assert (home.exactness, far.exactness) == (EXACT, EXACT)
    assert home.location == busy.location("home")
    # The slot with the blobs in it has everything; the other one has nothing.
    brought = 2 * SEGMENT + 5 * MIB + MIB
    assert (home.written_bytes, home.crossing_bytes, home.source_location) == (brought, 0, "")
    assert (far.written_bytes, far.crossing_bytes) == (brought, brought)
    assert far.source_location == busy.location("home")
    assert (far.size_bytes, far.zero_bytes) == (6 * SEGMENT + 2 * MIB, SEGMENT)
    assert far.deduplicated_bytes == 2 * SEGMENT
    assert not home.HasField("obstacle")
    done = copied(busy, busy.desired(disks, {"home": 2, "far": 1}))
    agrees(far, done[far.location])
    assert home.written_bytes == done[home.location].progress.bytes.copied_bytes


def test_what_a_slot_has_of_another_version_is_not_moved_again(busy: World) -> None:
    busy.region("home")
    busy.region("far")
    old = noise(5, 3 * SEGMENT)
    copied(busy, busy.desired({"os": busy.blob(old)}, {"home": 1, "far": 1}))
    changed = bytearray(old)
    changed[SEGMENT] ^= 1
    busy.uid = new_uid()
    disks = {"os": busy.blob(bytes(changed))}
    home, far = plan(busy, new(busy, disks, {"home": 1, "far": 1}))
    assert 0 < far.written_bytes <= SEGMENT
    assert far.deduplicated_bytes == 3 * SEGMENT - far.written_bytes
    assert (home.written_bytes, home.deduplicated_bytes) == (0, 3 * SEGMENT)
    done = copied(busy, busy.desired(disks, {"home": 1, "far": 1}))
    agrees(far, done[far.location])
    agrees(home, done[home.location])


def test_of_a_version_exactly_that_is_moved_which_was_planned(busy: World) -> None:
    for name in ("home", "far", "away"):
        busy.region(name)
    copied(busy, busy.desired({"os": busy.blob(noise(6, 9 * MIB))}, {"home": 1, "far": 1}))
    source = pb.DiskSource(
        image_version=pb.ImageVersionSource(
            image_version=busy.version, uid=busy.uid, disk=storage_pb2.DiskSelector(os=True)
        )
    )
    busy.uid = new_uid()
    wanted = {"home": 1, "far": 1, "away": 1}
    plans = plan(busy, new(busy, {"os": source}, wanted))
    assert [one.written_bytes for one in plans] == [0, 0, 9 * MIB]
    assert all(one.exactness == EXACT for one in plans)
    done = copied(busy, busy.desired({"os": source}, wanted))
    for one in plans:
        agrees(one, done[one.location])


def test_a_change_moves_what_is_added_and_frees_what_is_removed(busy: World) -> None:
    busy.region("home", slots=2)
    for name in ("far", "new", "away"):
        busy.region(name)
    disks = {"os": busy.blob(noise(7, 6 * MIB))}
    copied(busy, busy.desired(disks, {"home": 1, "far": 1, "away": 1}))
    change = busy.desired(disks, {"home": 2, "new": 1, "away": 1}, generation=0)
    home, added, kept, removed = plan(busy, change)
    assert (home.written_bytes, home.crossing_bytes, home.freed_bytes) == (6 * MIB, 0, 0)
    assert (added.written_bytes, added.source_location) == (6 * MIB, home.location)
    assert (kept.written_bytes, kept.deduplicated_bytes, kept.size_bytes) == (0, 6 * MIB, 6 * MIB)
    assert kept.expected_duration.seconds == 0
    assert (removed.location, removed.freed_bytes) == (busy.location("far"), 6 * MIB)
    assert removed.written_bytes == 0
    done = copied(busy, busy.desired(disks, {"home": 2, "new": 1, "away": 1}, generation=2))
    agrees(added, done[added.location])
    # The region had one replica before, which had nothing to copy.
    assert done[home.location].progress.bytes.copied_bytes == home.written_bytes
    lower = plan(busy, busy.desired(disks, {"home": 1, "new": 1, "away": 1}, generation=0))[0]
    assert (lower.written_bytes, lower.size_bytes) == (0, 6 * MIB)


def test_of_a_file_that_nobody_has_hashed_the_most_is_told(busy: World) -> None:
    busy.region("target")
    folder = busy.service.folder / "vhds"
    folder.mkdir(exist_ok=True)
    with (folder / "sparse.vhd").open("wb") as file:
        file.truncate(8 * MIB)
        file.write(noise(8, MIB))
        file.seek(0, 2)
        file.write(fixed_vhd(bytes(8 * MIB))[-512:])
    source = store_file("sparse.vhd")
    source.store_file.etag = inspect(busy, source).etag
    desired = new(busy, {"os": source}, {"target": 1}, home_location="eastus")
    desired.disks[0].format = storage_pb2.DISK_FORMAT_VHD_FIXED
    (found,) = plan(busy, desired)
    assert found.exactness == ESTIMATE
    assert found.size_bytes == 8 * MIB
    assert MIB <= found.written_bytes <= 8 * MIB
    assert found.written_bytes + found.zero_bytes == found.size_bytes


def test_of_a_shallow_version_nothing_is_moved_until_it_is_promoted(busy: World) -> None:
    busy.region("home")
    disks = {"os": busy.blob(noise(12, MIB) + bytes(SEGMENT))}
    shallow = new(busy, disks, {"home": 1}, replication_mode=storage_pb2.REPLICATION_MODE_SHALLOW)
    (found,) = plan(busy, shallow)
    assert (found.size_bytes, found.written_bytes) == (SEGMENT + MIB, 0)
    assert (found.zero_bytes, found.deduplicated_bytes) == (SEGMENT, MIB)
    assert not found.HasField("obstacle")
    desired = busy.desired(disks, {"home": 1})
    desired.replication_mode = storage_pb2.REPLICATION_MODE_SHALLOW
    copied(busy, desired)
    busy.region("far")
    promoted = plan(busy, busy.desired(disks, {"home": 1, "far": 1}, generation=0))
    # The bytes lie in the one slot of the home region already, as those of the blob.
    assert [one.written_bytes for one in promoted] == [0, MIB]
    assert [one.exactness for one in promoted] == [EXACT, EXACT]


@pytest.fixture
def blob(world: World) -> pb.DiskSource:
    world.region("home")
    return world.blob(noise(9, MIB))


def test_what_does_not_exist_is_an_error_of_its_own(world: World, blob: pb.DiskSource) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REGION_UNKNOWN") as refusal:
        plan(world, new(world, {"os": blob}, {"home": 1, "nowhere": 1}))
    assert set(refusal.fields) == {"desired.regions[1].location"}
    missing = pb.DiskSource(blob=pb.BlobSource(blob=blob.blob.blob, uid="f" * 32))
    with refused(grpc.StatusCode.NOT_FOUND, "SOURCE_NOT_FOUND") as refusal:
        plan(world, new(world, {"os": missing}, {"home": 1}))
    assert refusal.info.metadata["source"] == blob.blob.blob
    away = store_file("os.vhd", "away", etag="1")
    with refused(grpc.StatusCode.UNAVAILABLE, "SOURCE_UNAVAILABLE"):
        plan(world, new(world, {"os": away}, {"home": 1}, home_location="westus"))
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        plan(world, pb.DesiredReplicas())


def test_only_the_catalog_plans(world: World, blob: pb.DiskSource) -> None:
    request = replication_plan_pb2.PlanReplicasRequest(
        desired=new(world, {"os": blob}, {"home": 1})
    )
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        world.service.service("authz").replications.PlanReplicas(request)
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        world.operator.replications.PlanReplicas(request)


def test_what_would_fail_says_why(world: World, blob: pb.DiskSource) -> None:
    world.region("gone")
    (found,) = plan(world, new(world, {"os": blob}, {"home": 2}))
    assert reason_of(found.obstacle) == "REPLICA_CAPACITY"
    assert found.written_bytes == 0
    path = Path(world.url("gone").removeprefix("file://"))
    shutil.move(path, path.with_name("elsewhere"))
    home, gone = plan(world, new(world, {"os": blob}, {"home": 1, "gone": 1}))
    assert not home.HasField("obstacle")
    assert reason_of(gone.obstacle) in {"STORE_UNAVAILABLE", "REPLICA_MISMATCH"}
    assert (gone.exactness, gone.written_bytes) == (ESTIMATE, MIB)


def test_a_region_whose_limit_leaves_no_room_says_so(world: World, blob: pb.DiskSource) -> None:
    world.region("small", limits=region_pb2.RegionLimits(total_bytes=MIB - 1))
    world.region("enough", limits=region_pb2.RegionLimits(total_bytes=MIB))
    wanted = {"home": 1, "small": 1, "enough": 1}
    _, small, enough = plan(world, new(world, {"os": blob}, wanted))
    assert reason_of(small.obstacle) == "STORE_FULL"
    assert (small.exactness, small.written_bytes) == (EXACT, MIB)
    assert not enough.HasField("obstacle")


def test_prices_and_rates_make_costs_and_durations(busy: World) -> None:
    prices = region_pb2.RegionPrices(
        currency_code="EUR", stored_gib_month_micros=2048, crossed_gib_micros=1024
    )
    busy.region("home", prices=prices)
    busy.region("far", slots=2, **PRICES)
    busy.region("free")
    disks = {"os": busy.blob(noise(10, 2 * MIB))}
    wanted = {"home": 1, "far": 2, "free": 1}
    home, far, free = plan(busy, new(busy, disks, wanted))
    # 2 MiB of a GiB are 1/512 of the price, for each of two replicas.
    assert (far.monthly_cost.currency_code, far.monthly_cost.micros) == ("EUR", 4)
    assert (far.crossing_cost.currency_code, far.crossing_cost.micros) == ("EUR", 2)
    assert (home.monthly_cost.micros, home.HasField("crossing_cost")) == (0, True)
    assert (free.crossing_cost.micros, free.HasField("monthly_cost")) == (2, False)
    # Nothing was ever copied there; nothing takes no time.
    assert not far.HasField("expected_duration")
    assert home.expected_duration.seconds == 0
    copied(busy, busy.desired(disks, wanted))
    busy.uid = new_uid()
    disks = {"os": busy.blob(noise(11, 2 * MIB))}
    far = plan(busy, new(busy, disks, wanted))[1]
    assert far.expected_duration.seconds >= 1


def test_a_plan_leaves_no_trace(world: World, blob: pb.DiskSource) -> None:
    plan(world, world.desired({"os": blob}, {"home": 1}, generation=0))
    request = replication_service_pb2.GetReplicationRequest(name=world.version)
    with refused(grpc.StatusCode.NOT_FOUND):
        world.operator.replications.GetReplication(request)
