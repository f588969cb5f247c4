"""Sources that change, shrink, vanish or lie: nothing of them is committed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.replication.content.refs import read_version
from services.replication.domain.states import CopyState, DiskFormat, ReplicationState
from tests.disk_files import patched, qcow2
from tests.faults.invariants import assert_invariants
from tests.faults.workers import on_sqlite
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
DISK = some_bytes(24 * MIB, 1)


def written_over(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"changed")


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(8 * MIB)


HARMS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "changed": (written_over, {"SOURCE_CHANGED"}),
    "truncated": (cut_short, {"SOURCE_CHANGED"}),
    "vanished": (Path.unlink, {"SOURCE_CHANGED", "SOURCE_NOT_FOUND"}),
}


@on_sqlite
@pytest.mark.parametrize("harm", HARMS)
def test_a_source_that_goes_bad_while_it_is_copied_commits_nothing(world: World, harm: str) -> None:
    world.add_region("home", bandwidth=8 * MIB)
    world.add_region("far")
    source = world.file("os.raw", DISK)
    record = world.ensure(world.desired({"os": source}, {"home": 1, "far": 1}))
    work, reasons = HARMS[harm]
    with world.working():
        world.wait_state(CopyState.COPYING, "home")
        work(world.root / "files" / "os.raw")
        ended = world.wait_end(record.id)
        assert ended.record.state is ReplicationState.FAILED
        causes = [one.region.cause for one in ended.regions]
        assert {one.reason for one in causes if one is not None} & reasons
        for location in ("home", "far"):
            assert read_version(world.slot_store(location), UID) is None
        # Until then the journals are kept for another try.
        world.ensure(world.desired({}, {}, generation=2))
        world.wait_state(CopyState.REMOVED, "home")
    assert_invariants(world, {UID: {"os": DISK}}, healthy=())


@on_sqlite
def test_a_table_that_leads_out_of_its_file_is_refused_and_no_part_of_it_is_there(
    world: World,
) -> None:
    world.add_region("home")
    disk = some_bytes(MIB, 2)
    file = qcow2(disk)
    table = int.from_bytes(file[1 << 16 : (1 << 16) + 8], "big") & ~(1 << 63)
    hostile = patched(file, table + 8, ((1 << 50) | 1 << 63).to_bytes(8, "big"))
    source = world.file("os.qcow2", hostile)
    wanted = world.desired({"os": source}, {"home": 1}, form=DiskFormat.QCOW2)
    with world.working():
        ended = world.wait_end(world.ensure(wanted).id)
    assert ended.record.state is ReplicationState.FAILED
    (region,) = ended.regions
    assert region.region.cause is not None
    assert region.region.cause.reason == "SOURCE_FORMAT_INVALID"
    assert_invariants(world, {UID: {"os": disk}}, healthy=())
