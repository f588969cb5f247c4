"""Copies from files of formats with tables: pinned, resumed, and ended by what is damaged."""

from collections.abc import Callable

import pytest

from services.replication.content.refs import read_version
from services.replication.domain.states import CopyState, DiskFormat, ReplicationState
from tests.disk_files import dynamic_vhd, patched, qcow2, stream_vmdk, vhdx
from tests.integration.replication.test_source_files import UID, cause_of, journals_of, wait_for
from tests.integration.replication.world import MIB, World, some_bytes

Make = Callable[[bytes], bytes]

FORMATS = pytest.mark.parametrize(
    ("form", "make"),
    [
        (DiskFormat.QCOW2, qcow2),
        (DiskFormat.VHDX, vhdx),
        (DiskFormat.VHD_DYNAMIC, dynamic_vhd),
        (DiskFormat.VMDK, stream_vmdk),
    ],
    ids=["qcow2", "vhdx", "vhd", "vmdk"],
)


@FORMATS
def test_a_file_in_a_store_becomes_the_disk_in_it(world: World, form: DiskFormat, make: Make):
    world.add_region("home")
    world.add_region("east")
    disk = some_bytes(5 * MIB) + bytes(8 * MIB) + some_bytes(MIB, 2)
    source = world.file("disk", make(disk))
    desired = world.desired({"os": source}, {"home": 1, "east": 1}, form=form)
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os") == disk
    assert world.content(UID, "east", "os") == disk
    (content,) = world.rows.read(lambda tx: tx.versions.disks(UID))
    assert (content.size_bytes, content.data_bytes) == (14 * MIB, 6 * MIB)


def test_a_file_that_changes_while_its_disk_is_copied_commits_nothing(world: World):
    world.add_region("home", bandwidth=8 * MIB)
    source = world.file("disk.qcow2", qcow2(some_bytes(24 * MIB)))
    desired = world.desired({"os": source}, {"home": 1}, form=DiskFormat.QCOW2)
    record = world.ensure(desired)
    with world.working():
        world.wait_state(CopyState.COPYING, "home")
        with (world.root / "files" / "disk.qcow2").open("r+b") as file:
            file.seek(20 * MIB)
            file.write(b"changed")
        view = world.wait_end(record.id)
    assert cause_of(view).reason == "SOURCE_CHANGED"
    assert read_version(world.slot_store("home"), UID) is None


def test_what_is_written_over_meanwhile_is_told_as_changed_and_not_as_damaged(world: World):
    world.add_region("home", bandwidth=8 * MIB)
    source = world.file("disk.vmdk", stream_vmdk(some_bytes(24 * MIB)))
    desired = world.desired({"os": source}, {"home": 1}, form=DiskFormat.VMDK)
    record = world.ensure(desired)
    with world.working():
        world.wait_state(CopyState.COPYING, "home")
        with (world.root / "files" / "disk.vmdk").open("r+b") as file:
            file.seek(16 * MIB)
            # No grain begins like that, and nothing can be unpacked from it.
            file.write(b"\xff" * 7 * MIB)
        view = world.wait_end(record.id)
    assert cause_of(view).reason == "SOURCE_CHANGED"
    assert read_version(world.slot_store("home"), UID) is None


def test_a_reading_of_compressed_clusters_goes_on_where_it_was(world: World):
    world.add_region("home", bandwidth=12 * MIB)
    # Text in every other KiB, so that each cluster is compressed and none is like another.
    noise = some_bytes(12 * MIB)
    disk = b"".join(noise[at : at + 1024] + b"a" * 1024 for at in range(0, 12 * MIB, 1024))
    source = world.file("disk.qcow2", qcow2(disk, compressed=True))
    desired = world.desired({"os": source}, {"home": 1}, form=DiskFormat.QCOW2)
    record = world.ensure(desired)
    with world.working():
        wait_for(lambda: len(journals_of(world)) >= 2)
    assert len(journals_of(world)) >= 2
    with world.working():
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os") == disk


def test_damage_in_the_middle_of_a_disk_leaves_no_part_of_it(world: World):
    world.add_region("home")
    file = qcow2(some_bytes(24 * MIB))
    # The entry of the last cluster, in the one table that there is.
    table = int.from_bytes(file[1 << 16 : (1 << 16) + 8], "big") & ~(1 << 63)
    last = table + (24 * MIB // 65_536 - 1) * 8
    source = world.file("disk.qcow2", patched(file, last, (1 << 63 | 1 << 40).to_bytes(8, "big")))
    found = world.inspection.inspect(source)
    assert found is not None
    # Its tables are not walked before a copy does it.
    assert found.problem is None
    desired = world.desired({"os": source}, {"home": 1}, form=DiskFormat.QCOW2)
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    cause = cause_of(view)
    assert (cause.reason, cause.retryable) == ("SOURCE_FORMAT_INVALID", False)
    assert "ends before a block" in cause.message
    assert read_version(world.slot_store("home"), UID) is None


def test_a_reference_that_only_the_copy_meets_ends_the_region_for_good(world: World):
    world.add_region("home")
    file = patched(qcow2(some_bytes(MIB)), 79, b"\4")
    source = world.upload("os", file, form=DiskFormat.QCOW2)
    desired = world.desired({"os": source}, {"home": 1}, form=DiskFormat.QCOW2)
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    cause = cause_of(view)
    assert (cause.reason, cause.retryable) == ("SOURCE_REFERENCE_REFUSED", False)
    assert cause.metadata["source"] == source.name
