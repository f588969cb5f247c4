"""ImageDiskService: what is read is what was published, or nothing."""

from dataclasses import replace

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stoa.authz.v1 import audit_service_pb2
from stoa.authz.v1 import sharing_grant_pb2 as grants
from stoa.replication.v1 import image_disk_service_pb2 as pb
from stoa.type.v1 import storage_pb2

from services.replication.domain.states import Health, RegionState
from tests.integration.replication.world import some_bytes
from tests.wire.authz.installation import World as People
from tests.wire.replication.disks.reading import (
    LEAF,
    MIB,
    SEGMENT,
    Sharing,
    corrupt,
    leaves_of,
    objects_of,
    publish,
    read,
    request,
    root_digest,
    segment_digest,
)
from tests.wire.replication.disks.uploading import refusal

Code = grpc.StatusCode
# A hole of whole segments, zero leaves inside data, and an end inside a leaf.
SPARSE = (
    some_bytes(SEGMENT + 3 * LEAF, seed=1)
    + bytes(3 * SEGMENT)
    + some_bytes(5 * LEAF, seed=2)
    + bytes(7 * LEAF)
    + some_bytes(LEAF + 777, seed=3)
)
DATA_DISK = some_bytes(200_000, seed=4)


@pytest.fixture
def subscription(people: People) -> str:
    return people.subscription()


@pytest.fixture
def gallery(subscription) -> str:
    return f"{subscription}/resourceGroups/rg/galleries/golden"


@pytest.fixture
def version(gallery) -> str:
    return f"{gallery}/images/ubuntu/versions/1.0.0"


@pytest.fixture
def published(service, version) -> str:
    """The uid of a version with two disks, twice in region home and nowhere else."""
    service.world.add_region("west")
    service.catch_up()
    return publish(service, version, {"os": SPARSE, "0": DATA_DISK}, {"home": 2})


@pytest.fixture
def owner(service, published):
    return service.user().disks


def test_a_disk_is_read_whole_and_by_any_spelling(owner, version):
    assert read(owner, request(version)) == SPARSE
    lun = storage_pb2.DiskSelector(lun=0)
    other = version.replace("golden", "GOLDEN").replace("1.0.0", "01.0.00")
    assert read(owner, request(other, "Home", lun)) == DATA_DISK


def test_every_range_holds_the_bytes_of_the_source(owner, version):
    size = len(SPARSE)
    spans = st.tuples(st.integers(0, size), st.integers(1, size)).filter(
        lambda one: one[0] + one[1] <= size
    )

    @settings(
        max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.lists(spans, min_size=1, max_size=4))
    def check(ranges):
        asked = request(version)
        for offset, length in ranges:
            asked.ranges.add(offset_bytes=offset, length_bytes=length)
        expected = b"".join(SPARSE[offset : offset + length] for offset, length in ranges)
        assert read(owner, asked) == expected

    check()


def test_leaves_and_segments_tie_every_byte_to_the_root(owner, version):
    asked = request(version, include_leaves=True, include_segments=True)
    start, *rest = owner.ReadDisk(asked)
    layout = start.start.layout
    assert start.start.verified
    digests = b"".join(one.segments.digests for one in rest if one.HasField("segments"))
    segments = [digests[at : at + 32] for at in range(0, len(digests), 32)]
    assert len(segments) == -(-len(SPARSE) // SEGMENT)
    assert root_digest(layout.header, segments) == layout.root_digest
    told = {}
    for one in rest:
        if one.HasField("piece") and one.piece.HasField("leaves"):
            assert one.piece.leaves.segment == one.piece.offset_bytes // SEGMENT
            told[one.piece.leaves.segment] = one.piece.leaves.digests
    assert sorted(told) == [index for index, one in enumerate(segments) if any(one)]
    for index, leaves in told.items():
        data = SPARSE[index * SEGMENT : (index + 1) * SEGMENT]
        assert leaves == leaves_of(data)
        assert segment_digest(len(data), leaves) == segments[index]


def test_zeros_are_told_and_not_sent(owner, version):
    pieces = [one.piece for one in owner.ReadDisk(request(version)) if one.HasField("piece")]
    assert sum(one.zero_bytes for one in pieces) == 3 * SEGMENT + 7 * LEAF
    assert len(pieces) < 20


def test_a_corrupt_object_is_never_delivered_and_another_slot_serves(
    service, owner, version, published
):
    path = objects_of(service, "home", "s1", SPARSE)[0]
    corrupt(path, 2 * LEAF + 5)
    assert read(owner, request(version)) == SPARSE
    rows = service.world.rows
    first, second = rows.read(lambda tx: tx.replicas.of_region(published, "home"))
    assert (first.health, second.health) == (Health.DAMAGED, Health.GOOD)
    assert first.cause is not None
    assert first.cause.reason == "DIGEST_MISMATCH"
    (region,) = rows.read(lambda tx: tx.versions.regions(published))
    assert (region.state, region.good) == (RegionState.DEGRADED, 1)
    # It was told once, and costs the next reader nothing.
    assert read(owner, request(version)) == SPARSE


def test_two_slots_with_different_damage_serve_together(service, owner, version):
    corrupt(objects_of(service, "home", "s1", SPARSE)[0], LEAF)
    corrupt(objects_of(service, "home", "s2", SPARSE)[0], 2 * LEAF)
    assert read(owner, request(version)) == SPARSE


def test_what_no_slot_delivers_is_not_sent(service, owner, version):
    for slot in ("s1", "s2"):
        corrupt(objects_of(service, "home", slot, SPARSE)[0], 20 * LEAF)
    sent = bytearray()

    def receive():
        for message in owner.ReadDisk(request(version)):
            sent.extend(message.piece.data)

    assert refusal(receive)[0] is Code.UNAVAILABLE
    assert bytes(sent) == SPARSE[: len(sent)]
    assert len(sent) == 20 * LEAF
    asked = request(version)
    asked.ranges.add(offset_bytes=20 * LEAF, length_bytes=1)
    _, info = refusal(owner.ReadDisk, asked)
    assert info.reason == "NO_GOOD_REPLICA"
    assert dict(info.metadata) == {"location": "home", "offset_bytes": str(20 * LEAF)}


def test_a_lost_slot_is_replaced_by_another(service, owner, version):
    root = service.world.root / "home" / "1"
    root.rename(root.with_name("away"))
    assert read(owner, request(version)) == SPARSE


def test_what_is_not_there_is_said_with_its_reason(owner, version, service):
    def reason(asked):
        code, info = refusal(owner.ReadDisk, asked)
        return code, info.reason, dict(info.metadata)

    assert reason(request(version, "west")) == (
        Code.NOT_FOUND,
        "NOT_IN_REGION",
        {"location": "west", "available": "home"},
    )
    assert reason(request(version, "nowhere")) == (
        Code.INVALID_ARGUMENT,
        "REGION_UNKNOWN",
        {"location": "nowhere", "known": "home,west"},
    )
    assert reason(request(version, disk=storage_pb2.DiskSelector(lun=7))) == (
        Code.NOT_FOUND,
        "DISK_NOT_FOUND",
        {"disk": "7", "luns": "0"},
    )
    missing = version.replace("1.0.0", "9.9.9")
    assert reason(request(missing)) == (
        Code.NOT_FOUND,
        "RESOURCE_NOT_FOUND",
        {"resource": missing},
    )
    beyond = request(version)
    beyond.ranges.add(offset_bytes=len(SPARSE), length_bytes=1)
    assert reason(beyond) == (
        Code.OUT_OF_RANGE,
        "RANGE_BEYOND_END",
        {"size_bytes": str(len(SPARSE))},
    )
    code, found, _ = reason(request(version, expected_root_digest=b"x" * 32))
    assert (code, found) == (Code.FAILED_PRECONDITION, "DISK_REPLACED")
    code, found, _ = reason(request(version.replace("1.0.0", "latest"), ""))
    assert (code, found) == (Code.INVALID_ARGUMENT, "INVALID_FIELDS")


def test_a_withdrawn_version_is_gone(service, owner, version, published):
    def withdraw(tx):
        found = tx.versions.lock(published)
        tx.versions.update(replace(found, withdrawn=True))

    service.world.rows.transact(withdraw)
    code, info = refusal(owner.ReadDisk, request(version))
    assert (code, info.reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")


def test_strangers_are_told_nothing(service, people, version, published):
    stranger = service.user(people.user().rpartition("/")[2]).disks
    there = refusal(stranger.ReadDisk, request(version))
    gone = refusal(stranger.ReadDisk, request(version.replace("1.0.0", "9.9.9")))
    assert there[0] is gone[0] is Code.PERMISSION_DENIED
    assert there[1].reason == gone[1].reason == "PERMISSION_DENIED"


@pytest.fixture
def consumer(service, people):
    """A subscription of somebody else, and a reader in it."""
    name, user = people.subscription(), people.user()
    people.assign(user, "Reader", name)
    service.catch_up()
    return name, service.user(user.rpartition("/")[2]).disks


def view(consumer: str, collection: str, gallery: str, version: str = "1.0.0", region="home"):
    return f"{consumer}/locations/{region}/{collection}/{gallery}/images/ubuntu/versions/{version}"


def test_a_shared_version_is_read_where_it_is_shared_and_no_longer(
    service, people, gallery, consumer, published
):
    name, disks = consumer
    sharing = Sharing(people, gallery)
    shared = view(name, "sharedGalleries", sharing.shared_id)
    before = refusal(disks.ReadDisk, request(shared, ""))
    sharing.apply(grants.SHARING_OPERATION_ADD, [name])
    service.catch_up()
    assert read(disks, request(shared, "")) == SPARSE
    unknown = refusal(disks.ReadDisk, request(shared.replace("1.0.0", "9.9.9"), ""))
    never = refusal(disks.ReadDisk, request(view(name, "sharedGalleries", "never"), ""))
    sharing.apply(grants.SHARING_OPERATION_REMOVE, [name])
    service.catch_up()
    after = refusal(disks.ReadDisk, request(shared, ""))
    for code, info in (before, unknown, never, after):
        assert (code, info.reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert set(info.metadata) == {"resource"}


def test_a_view_says_no_other_region_and_is_read_in_its_own(
    service, people, gallery, consumer, published
):
    name, disks = consumer
    sharing = Sharing(people, gallery)
    sharing.apply(grants.SHARING_OPERATION_ADD, [name])
    service.catch_up()
    there = view(name, "sharedGalleries", sharing.shared_id)
    code, info = refusal(disks.ReadDisk, request(there, "west"))
    assert (code, info.reason) == (Code.INVALID_ARGUMENT, "INVALID_FIELDS")
    west = view(name, "sharedGalleries", sharing.shared_id, region="west")
    code, info = refusal(disks.ReadDisk, request(west, ""))
    assert (code, info.reason) == (Code.NOT_FOUND, "NOT_IN_REGION")
    assert info.metadata["available"] == ""


def test_the_end_of_sharing_ends_a_stream(service, people, gallery, consumer):
    name, disks = consumer
    big = f"{gallery}/images/ubuntu/versions/2.0.0"
    publish(service, big, {"os": some_bytes(48 * MIB, seed=9)}, {"home": 1})
    sharing = Sharing(people, gallery)
    sharing.apply(grants.SHARING_OPERATION_ADD, [name])
    service.catch_up()
    stream = disks.ReadDisk(request(view(name, "sharedGalleries", sharing.shared_id, "2.0.0"), ""))
    next(stream)
    sharing.apply(grants.SHARING_OPERATION_REMOVE, [name])
    service.catch_up()
    service.wait_checked()
    code, info = refusal(lambda: stream)
    assert (code, info.reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")


def test_community_bytes_follow_the_recorded_acceptance_of_terms(
    service, people, gallery, consumer, published
):
    name, disks = consumer
    sharing = Sharing(people, gallery)
    sharing.apply(community=True)
    public = view(name, "communityGalleries", sharing.public_name)
    service.catch_up()
    closed = refusal(disks.ReadDisk, request(public, "", accept_terms=True))
    assert (closed[0], closed[1].reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
    sharing.apply(grants.SHARING_OPERATION_ENABLE_COMMUNITY, community=True)
    service.catch_up()
    code, info = refusal(disks.ReadDisk, request(public, ""))
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "TERMS_NOT_ACCEPTED")

    def recorded():
        asked = audit_service_pb2.ListAuditRecordsRequest(
            parent=name, filter='method = "terms.accepted"'
        )
        return people.owner.audit.ListAuditRecords(asked).audit_records

    assert list(recorded()) == []
    assert read(disks, request(public, "", accept_terms=True)) == SPARSE
    (record,) = recorded()
    assert record.resource == public
    assert record.workload == "replication"
    assert record.details["location"] == "home"


def test_directories_hand_out_no_urls(owner, version):
    asked = pb.OpenDiskRequest(
        name=version, location="home", disk=storage_pb2.DiskSelector(os=True)
    )
    code, info = refusal(owner.OpenDisk, asked)
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "DIRECT_READ_UNSUPPORTED")
    asked.offset_bytes = len(SPARSE) + 1
    code, info = refusal(owner.OpenDisk, asked)
    assert (code, info.reason) == (Code.OUT_OF_RANGE, "RANGE_BEYOND_END")
