"""Regions on the wire."""

import uuid
from pathlib import Path

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.replication.v1 import region_pb2 as pb
from stoa.replication.v1 import region_service_pb2

from tests.wire.authz.installation import World as AuthzWorld
from tests.wire.replication.service import Service, World, refused


def create(world: World, name: str, **more):
    slot = pb.ReplicaSlot(id="s1", store_url=world.url(name))
    region = {"slots": [slot], **more.pop("region", {})}
    return region_service_pb2.CreateRegionRequest(
        region_id=world.location(name), region=pb.Region(**region), **more
    )


def update(region: pb.Region, *paths: str) -> region_service_pb2.UpdateRegionRequest:
    return region_service_pb2.UpdateRegionRequest(region=region, update_mask=FieldMask(paths=paths))


def get(world: World, name: str) -> pb.Region:
    return world.operator.regions.GetRegion(
        region_service_pb2.GetRegionRequest(name=f"regions/{world.location(name)}")
    )


def test_a_region_is_created_with_stores_of_its_own(service: Service, world: World):
    made = world.region("east", 2, display_name=f"East US {world.number}", zones=["1"])
    assert made.name == f"regions/{world.location('east')}"
    assert [one.id for one in made.slots] == ["s1", "s2"]
    assert len({one.replica_id for one in made.slots}) == 2
    assert made.slots[0].health == pb.SLOT_HEALTH_AVAILABLE
    assert pb.SLOT_WARNING_DEVICE_SHARED in made.slots[0].warnings
    assert made.capacities[0].replica_count == 2
    root = Path(world.url("east").removeprefix("file://"))
    assert (root / "replica-id").read_text().strip() == made.slots[0].replica_id
    assert get(world, "east") == made


def test_ids_and_display_names_are_taken_together(service: Service, world: World):
    made = world.region("east", display_name=f"Far East {world.number}")
    again = create(world, "east")
    again.region.slots[0].store_url = world.url("other")
    with refused(grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        world.operator.regions.CreateRegion(again)
    again.region_id = f"fareast{world.number}"
    with refused(grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS") as refusal:
        world.operator.regions.CreateRegion(again)
    assert refusal.info.metadata["resource"] == made.name
    again.region_id = world.location("north")
    again.region.display_name = made.display_name.upper()
    with refused(grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        world.operator.regions.CreateRegion(again)


def test_everything_wrong_with_a_region_is_told_at_once(service: Service, world: World):
    request = create(world, "East US 2")
    request.region.slots.append(pb.ReplicaSlot(id="B", store_url="ftp://x", zone="9"))
    request.region.slots.append(pb.ReplicaSlot(id="c", store_url=world.url("East US 2")))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS") as refusal:
        world.operator.regions.CreateRegion(request)
    assert set(refusal.fields) == {
        "region_id",
        "region.slots[1].id",
        "region.slots[1].store_url",
        "region.slots[1].zone",
        "region.slots[2].store_url",
    }
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.operator.regions.CreateRegion(create(world, "west", region={"slots": []}))
    assert set(refusal.fields) == {"region.slots"}


def test_stores_that_cannot_be_taken_are_refused(service: Service, world: World):
    world.region("east")
    other = create(world, "west")
    other.region.slots[0].store_url = world.url("east")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_EMPTY") as refusal:
        world.operator.regions.CreateRegion(other)
    assert refusal.info.metadata["slot"] == "s1"
    full = Path(world.url("full").removeprefix("file://"))
    full.mkdir(parents=True)
    (full / "something").write_text("precious")
    other.region.slots[0].store_url = world.url("full")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_EMPTY"):
        world.operator.regions.CreateRegion(other)
    assert [one.name for one in full.iterdir()] == ["something"]
    other.region.slots[0].store_url = "file:///etc/stoa"
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_UNSUPPORTED"):
        world.operator.regions.CreateRegion(other)


def test_validate_only_touches_nothing(service: Service, world: World):
    world.operator.regions.CreateRegion(create(world, "east", validate_only=True))
    assert not Path(world.url("east").removeprefix("file://")).exists()
    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        get(world, "east")


def test_a_repeated_request_is_answered_again(service: Service, world: World):
    request = create(world, "east", request_id=str(uuid.uuid4()))
    made = world.operator.regions.CreateRegion(request)
    assert world.operator.regions.CreateRegion(request) == made
    request.region.display_name = "Another"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        world.operator.regions.CreateRegion(request)


def test_a_region_is_changed_by_mask_and_etag(service: Service, world: World):
    made = world.region("east")
    changed = pb.Region(
        name=made.name,
        display_name=f"Orient {world.number}",
        zones=["1", "2"],
        etag=made.etag,
        limits=pb.RegionLimits(concurrent_copies=2),
    )
    found = world.operator.regions.UpdateRegion(
        update(changed, "display_name", "zones", "limits.concurrent_copies")
    )
    assert (found.display_name, list(found.zones)) == (f"Orient {world.number}", ["1", "2"])
    assert found.limits.concurrent_copies == 2
    assert found.slots == made.slots
    with refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"):
        world.operator.regions.UpdateRegion(update(changed, "zones"))
    changed.etag = ""
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.operator.regions.UpdateRegion(update(changed, "colour"))
    assert set(refusal.fields) == {"update_mask"}
    prices = pb.Region(name=made.name, prices=pb.RegionPrices(crossed_gib_micros=3))
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        world.operator.regions.UpdateRegion(update(prices, "prices"))
    assert "region.prices.currency_code" in refusal.fields


def test_slots_come_and_go_unless_they_hold_something(service: Service, world: World):
    made = world.region("home")
    made.slots.append(pb.ReplicaSlot(id="s2", store_url=world.url("home", 2)))
    found = world.operator.regions.UpdateRegion(update(made, "slots"))
    assert [one.id for one in found.slots] == ["s1", "s2"]
    world.blob(b"x")
    del found.slots[0]
    found.etag = ""
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SLOT_IN_USE") as refusal:
        world.operator.regions.UpdateRegion(update(found, "slots"))
    assert refusal.info.metadata["slot"] == "s1"
    both = get(world, "home")
    del both.slots[1]
    assert len(world.operator.regions.UpdateRegion(update(both, "slots")).slots) == 1
    moved = get(world, "home")
    moved.slots[0].store_url = world.url("elsewhere")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "REPLICA_MISMATCH"):
        world.operator.regions.UpdateRegion(update(moved, "slots"))


def test_a_store_is_replaced_only_where_it_is_gone_and_by_an_empty_one(
    service: Service, world: World
):
    made = world.region("home", 2)
    world.region("east")
    world.blob(b"x")

    def replaced(slots: list[str], url: str = "", **more) -> pb.Region:
        wanted = get(world, "home")
        if url:
            wanted.slots[0].store_url = url
        request = update(wanted, "slots")
        request.replaced_slots.extend(slots)
        request.MergeFrom(region_service_pb2.UpdateRegionRequest(**more))
        return world.operator.regions.UpdateRegion(request)

    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        replaced(["s1", "s3"])
    assert set(refusal.fields) == {"replaced_slots[1]"}
    for slots in (["s1", "s1"], [""], ["x" * 41], [str(one) for one in range(101)]):
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
            replaced(slots)
        assert all(one.startswith("replaced_slots") for one in refusal.fields)
    # What still answers keeps its place, and what it held.
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SLOT_IN_USE") as refusal:
        replaced(["s1"], world.url("fresh"))
    assert refusal.info.metadata["slot"] == "s1"
    assert not directory(world, "fresh").exists()
    root = directory(world, "home")
    root.rename(root.with_name("gone"))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_EMPTY"):
        replaced(["s1"], world.url("east"))
    replaced(["s1"], validate_only=True)
    assert not root.exists()
    # An empty disk at the old place will do, and so will another place.
    found = replaced(["s1"])
    assert found.slots[0].replica_id not in {"", made.slots[0].replica_id}
    assert found.slots[0].health == pb.SLOT_HEALTH_AVAILABLE
    assert found.slots[1] == made.slots[1]
    root.rename(root.with_name("gone too"))
    moved = replaced(["s1"], world.url("fresh"))
    assert moved.slots[0].store_url == world.url("fresh")
    assert moved.slots[0].replica_id != found.slots[0].replica_id


def test_a_used_region_is_not_deleted(service: Service, world: World):
    world.region("home")
    world.region("east")
    world.ensure(world.desired({"os": world.blob(b"x")}, {"east": 1}))
    for name in ("home", "east"):
        request = region_service_pb2.DeleteRegionRequest(name=f"regions/{world.location(name)}")
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY"):
            world.operator.regions.DeleteRegion(request)
    world.region("free")
    name = f"regions/{world.location('free')}"
    world.operator.regions.DeleteRegion(region_service_pb2.DeleteRegionRequest(name=name))
    with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.operator.regions.DeleteRegion(region_service_pb2.DeleteRegionRequest(name=name))


def test_everybody_sees_regions_and_operators_their_stores(service: Service, world: World, authz):
    made = world.region("east", limits=pb.RegionLimits(concurrent_copies=1))
    somebody = service.user(AuthzWorld(authz).user().rpartition("/")[2])
    request = region_service_pb2.GetRegionRequest(name=made.name)
    seen = somebody.regions.GetRegion(request)
    assert (seen.name, len(seen.capacities)) == (made.name, 1)
    assert not seen.slots
    assert not seen.HasField("limits")
    told = world.catalog.regions.GetRegion(request)
    assert [one.store_url for one in told.slots] == [""]
    assert told.limits.concurrent_copies == 1
    with refused(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"):
        somebody.regions.CreateRegion(create(world, "mine"))
    with refused(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"):
        service.nobody().regions.GetRegion(request)


def test_regions_are_listed_in_pages(service: Service, world: World):
    names = [world.region(name).name for name in ("b", "a", "c")]
    request = region_service_pb2.ListRegionsRequest(
        page_size=2, filter=f'display_name = "{world.location("a")}"'
    )
    (only,) = world.operator.regions.ListRegions(request).regions
    assert only.name == names[1]
    request.filter = ""
    found: list[str] = []
    while True:
        page = world.operator.regions.ListRegions(request)
        found += [one.name for one in page.regions]
        assert len(page.regions) <= 2
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert found == sorted(found)
    assert set(names) <= set(found)
    request.order_by = "create_time desc"
    request.page_size = 3
    newest = world.operator.regions.ListRegions(request).regions
    assert [one.name for one in newest] == names[::-1]


def test_credentials_in_a_store_url_are_kept_apart(service: Service, world: World):
    request = create(world, "cloud")
    secret = "s3://key:secret@bucket/prefix?endpoint=http://127.0.0.1:9/"
    request.region.slots[0].store_url = secret
    request.validate_only = True
    with refused(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE") as refusal:
        world.operator.regions.CreateRegion(request)
    assert "secret" not in refusal.message


def test_stores_within_stores_and_two_names_of_one_store_are_refused(
    service: Service, world: World
):
    world.region("east")
    inner = create(world, "west")
    inner.region.slots[0].store_url = f"{world.url('east')}/objects/inner"
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_EMPTY"):
        world.operator.regions.CreateRegion(inner)
    assert not (directory(world, "east") / "objects" / "inner").exists()
    both = create(world, "west")
    both.region.slots.add(id="s2", store_url=f"{both.region.slots[0].store_url}/inner")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_EMPTY") as refusal:
        world.operator.regions.CreateRegion(both)
    assert refusal.info.metadata["slot"] == "s2"
    fresh, alias = directory(world, "fresh"), directory(world, "alias")
    fresh.mkdir(parents=True)
    alias.parent.mkdir(parents=True)
    alias.symlink_to(fresh)
    both.region.slots[0].store_url = world.url("fresh")
    both.region.slots[1].store_url = world.url("alias")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_EMPTY"):
        world.operator.regions.CreateRegion(both)
    # Nothing of it hinders the one who asks for something possible after that.
    del both.region.slots[1]
    assert world.operator.regions.CreateRegion(both).name == f"regions/{world.location('west')}"


def directory(world: World, name: str) -> Path:
    """Where the store at `world.url(name)` lies."""
    return Path(world.url(name).removeprefix("file://"))
