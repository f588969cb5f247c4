"""A version that follows another one into a region brings only what changed."""

import random

import pytest

from services.replication.content.segment_io import read_manifest
from services.replication.domain.states import ReplicationState
from services.replication.usecases.planning import Planning
from tests.integration.replication.sound import assert_sound
from tests.integration.replication.world import GROUP, MIB, World, some_bytes

FIRST, SECOND = "a" * 32, "b" * 32
NEXT = f"{GROUP}/galleries/g/images/I/versions/1.1.0"
OTHER = f"{GROUP}/galleries/g/images/other/versions/1.1.0"


def successor(data: bytes) -> bytes:
    """The same disk with eight pieces of 64 KiB rewritten."""
    changed = bytearray(data)
    for at in range(0, len(data), len(data) // 8):
        changed[at : at + 65536] = random.Random(at + 99).randbytes(65536)
    return bytes(changed)


@pytest.mark.parametrize(("name", "moved"), [(NEXT, 8 * 65536), (OTHER, 16 * MIB)])
def test_a_version_moves_what_the_one_before_it_of_its_definition_lacks(
    world: World, name: str, moved: int
):
    world.add_region("home")
    world.add_region("east")
    old = some_bytes(16 * MIB)
    new = successor(old)
    wanted = {"home": 1, "east": 1}
    with world.working():
        world.wait_end(world.ensure(world.desired({"os": world.upload("v1", old)}, wanted)).id)
        second = world.desired({"os": world.upload("v2", new)}, wanted, uid=SECOND, version=name)
        planning = Planning(world.rows, world.origins, world.stores, world.files)
        plans = {plan.location: plan for plan in planning.plan(second)}
        view = world.wait_end(world.ensure(second).id)
    assert view.record.state is ReplicationState.COMPLETED
    counters = {one.region.location: one.region.progress.counters for one in view.regions}
    assert counters["east"].copied == moved == plans["east"].written
    # The blob lies in the slot already, whole.
    assert counters["home"].copied == 0 == plans["home"].written
    for location in wanted:
        assert world.content(FIRST, location, "os") == old
        assert world.content(SECOND, location, "os") == new
    assert_sound(world, SECOND, {"os": new})
    east = world.slot_store("east")
    (disk,) = world.rows.read(lambda tx: tx.versions.disks(SECOND))
    manifest = read_manifest(east, second.tenant, bytes.fromhex(disk.root))
    assert all(one.is_plain for one in manifest.segments()) == (name == OTHER)


def test_a_file_that_nobody_has_hashed_moves_what_the_version_before_it_lacks(world: World):
    world.add_region("home")
    old = some_bytes(16 * MIB)
    new = successor(old)
    with world.working():
        wanted = world.desired({"os": world.file("v1", old)}, {"home": 1})
        world.wait_end(world.ensure(wanted).id)
        disks = {"os": world.file("v2", new)}
        wanted = world.desired(disks, {"home": 1}, uid=SECOND, version=NEXT)
        view = world.wait_end(world.ensure(wanted).id)
    (home,) = view.regions
    counters = home.region.progress.counters
    assert (counters.copied, counters.deduplicated) == (8 * 65536, 16 * MIB - 8 * 65536)
    assert world.content(SECOND, "home", "os") == new
    assert_sound(world, SECOND, {"os": new})
