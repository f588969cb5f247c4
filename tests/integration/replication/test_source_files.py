"""Versions made from files in allowed stores, and from uploaded VHDs, on both databases."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from obstore.store import LocalStore as LocalClient

from services.kernel.errors import Unavailable
from services.replication.content.refs import read_version
from services.replication.domain.desired import DiskSource, SourceKind
from services.replication.domain.progress import Cause
from services.replication.domain.region import StoreAddress
from services.replication.domain.snapshots import ReplicationView
from services.replication.domain.source_stores import SourceStore
from services.replication.domain.states import CopyState, DiskFormat, ReplicationState
from services.replication.stores import bucket
from tests.integration.replication.world import MIB, World, some_bytes
from tests.vhd import DIFFERENCING, fixed_vhd, vhd_footer

UID = "a" * 32
VHD = DiskFormat.VHD_FIXED


def store_file(path: str, entry: str = "vhds", etag: str = "") -> DiskSource:
    return DiskSource(SourceKind.STORE_FILE, entry, path=path, etag=etag)


def copied(world: World, source: DiskSource, form: DiskFormat = VHD) -> ReplicationView:
    record = world.ensure(world.desired({"os": source}, {"home": 1}, form=form))
    with world.working():
        return world.wait_end(record.id)


def cause_of(view: ReplicationView) -> Cause:
    assert view.record.state is ReplicationState.FAILED
    cause = view.regions[0].region.cause
    assert cause is not None
    return cause


def objects_of(world: World, location: str = "home", slot: int = 1) -> dict[Path, int]:
    root = world.root / location / str(slot)
    found = [p for kind in ("objects", "manifests") for p in (root / kind).rglob("*")]
    return {path: path.stat().st_size for path in found if path.is_file()}


def journals_of(world: World) -> list[Path]:
    found = (world.root / "home" / "1" / "journals").rglob("*")
    return [path for path in found if path.is_file()]


def wait_for(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen")


def test_a_vhd_of_an_account_becomes_the_disk_that_the_guest_sees(world: World):
    world.add_region("home", 2)
    world.add_region("east")
    disk = some_bytes(9 * MIB) + bytes(20 * MIB) + some_bytes(MIB, 2)
    source = world.file("images/web/os.vhd", fixed_vhd(disk))
    desired = world.desired({"os": source}, {"home": 2, "east": 1}, form=VHD)
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    assert view.record.state is ReplicationState.COMPLETED
    for location, slot in (("home", "s1"), ("home", "s2"), ("east", "s1")):
        assert world.content(UID, location, "os", slot) == disk
    (content,) = world.rows.read(lambda tx: tx.versions.disks(UID))
    assert (content.size_bytes, content.data_bytes) == (30 * MIB, 10 * MIB)
    assert world.replica("east").source_location == "home"


def test_an_uploaded_vhd_loses_its_footer_and_shares_what_it_can(world: World):
    world.add_region("home")
    world.add_region("east")
    disk = some_bytes(8 * MIB) + some_bytes(MIB, 2)
    source = world.upload("os", fixed_vhd(disk), form=VHD)
    found = world.inspection.inspect(source)
    assert found is not None
    assert (found.size_bytes, found.file_bytes) == (9 * MIB, 9 * MIB + 512)
    assert (found.format, found.root, found.problem) == ("VHD_FIXED", "", None)
    before = objects_of(world)
    desired = world.desired({"os": source}, {"home": 1, "east": 1}, form=VHD)
    with world.working():
        view = world.wait_end(world.ensure(desired).id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os") == disk
    assert world.content(UID, "east", "os") == disk
    # Whole segments are the same objects; only the one that the footer lay in is new.
    added = {path: size for path, size in objects_of(world).items() if path not in before}
    assert sum(added.values()) < 2 * MIB
    assert view.regions[0].region.progress.counters.deduplicated == 8 * MIB


def test_an_uploaded_vhd_with_a_bad_footer_is_found_out(world: World):
    world.add_region("home")
    bad = bytearray(fixed_vhd(some_bytes(MIB)))
    bad[-1] ^= 1
    source = world.upload("os", bytes(bad), form=VHD)
    found = world.inspection.inspect(source)
    assert found is not None
    assert found.problem is not None
    assert (found.problem.reason, found.size_bytes) == ("SOURCE_FORMAT_INVALID", MIB)
    cause = cause_of(copied(world, source))
    assert (cause.reason, cause.retryable) == ("SOURCE_FORMAT_INVALID", False)
    assert cause.metadata["source"] == source.name
    assert (cause.metadata["format"], cause.metadata["found"]) == ("VHD_FIXED", "VHD")


def test_a_blob_is_read_in_no_other_format_than_the_declared_one(world: World):
    world.add_region("home")
    source = world.upload("os", fixed_vhd(some_bytes(MIB)), form=VHD)
    cause = cause_of(copied(world, source, DiskFormat.RAW))
    assert cause.reason == "SOURCE_FORMAT_INVALID"
    assert (cause.metadata["format"], cause.metadata["found"]) == ("RAW", "VHD_FIXED")


def test_a_file_is_looked_at_without_being_read_through(world: World):
    source = world.file("os.vhd", fixed_vhd(some_bytes(3 * MIB)))
    found = world.inspection.inspect(store_file("os.vhd"))
    assert found is not None
    assert (found.location, found.format, found.problem) == ("home", "VHD_FIXED", None)
    assert (found.size_bytes, found.file_bytes) == (3 * MIB, 3 * MIB + 512)
    assert (found.etag, found.root, found.uid) == (source.etag, "", "")


def test_an_etag_lasts_as_long_as_the_file_is_not_touched(world: World):
    source = world.file("os.vhd", fixed_vhd(some_bytes(MIB)))
    again = world.inspection.inspect(store_file("os.vhd"))
    path = world.root / "files" / "os.vhd"
    os.utime(path, ns=(1, path.stat().st_mtime_ns))
    touched = world.inspection.inspect(store_file("os.vhd"))
    assert again is not None
    assert touched is not None
    assert again.etag == source.etag
    assert touched.etag != source.etag


def test_a_vhd_that_refers_to_another_one_is_refused_as_such(world: World):
    file = vhd_footer(4 * MIB, DIFFERENCING)
    source = world.file("child.vhd", file + bytes(MIB) + file)
    found = world.inspection.inspect(source)
    assert found is not None
    assert found.problem is not None
    assert found.problem.reason == "SOURCE_REFERENCE_REFUSED"
    assert found.problem.metadata["source"] == "vhds/child.vhd"
    world.add_region("home")
    assert cause_of(copied(world, source)).reason == "SOURCE_FORMAT_INVALID"


def test_a_store_is_looked_at_itself_where_no_path_is_given(world: World):
    (world.root / "files").mkdir(parents=True)
    found = world.inspection.inspect(store_file(""))
    assert found is not None
    assert (found.location, found.format) == ("home", "")
    assert world.inspection.inspect(store_file("", "other")) is None
    (world.root / "files").rmdir()
    with pytest.raises(Unavailable) as refused:
        world.inspection.inspect(store_file(""))
    assert refused.value.reason == "SOURCE_UNAVAILABLE"


@pytest.mark.parametrize(
    "path",
    [
        "missing.vhd",
        "folder",
        "folder/..",
        "../outside.vhd",
        "link.vhd",
        "inside.vhd",
        "linked/secret.vhd",
        "os.vhd/deeper",
        "pipe",
        "nul\0.vhd",
        "n" * 300,
        "slot/objects/t/ab/cd/object",
    ],
)
def test_what_is_no_file_of_the_store_does_not_exist(world: World, path: str):
    world.file("os.vhd", fixed_vhd(bytes(MIB)))
    files = world.root / "files"
    (files / "folder").mkdir()
    outside = world.root / "outside"
    outside.mkdir()
    (outside / "secret.vhd").write_bytes(fixed_vhd(bytes(MIB)))
    (world.root / "outside.vhd").write_bytes(fixed_vhd(bytes(MIB)))
    (files / "link.vhd").symlink_to(outside / "secret.vhd")
    (files / "inside.vhd").symlink_to(files / "os.vhd")
    (files / "linked").symlink_to(outside)
    os.mkfifo(files / "pipe")
    # A region's store in the directory: its objects are every tenant's.
    (files / "slot/objects/t/ab/cd").mkdir(parents=True)
    (files / "slot/replica-id").write_text("1" * 32)
    (files / "slot/objects/t/ab/cd/object").write_bytes(fixed_vhd(bytes(MIB)))
    assert world.inspection.inspect(store_file(path)) is None


def test_no_race_leads_out_of_the_store(world: World):
    """A part of the path that becomes a link while it is walked is not followed."""
    world.file("a/b/os.vhd", fixed_vhd(bytes(MIB)))
    secret = world.root / "outside" / "b"
    secret.mkdir(parents=True)
    (secret / "os.vhd").write_bytes(fixed_vhd(b"secret".ljust(MIB)))
    folder, away = world.root / "files" / "a", world.root / "files" / "away"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            folder.rename(away)
            folder.symlink_to(world.root / "outside")
            folder.unlink()
            away.rename(folder)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            try:
                source = world.files.open("vhds", "a/b/os.vhd")
            except Exception as error:  # noqa: BLE001 - which one depends on the moment
                assert type(error).__name__ in {"SourceMissing", "SourceUnavailable"}  # noqa: PT017
                continue
            found = bytearray(6)
            source.read_into(0, memoryview(found))
            source.close()
            assert found != b"secret"
    finally:
        stop.set()
        thread.join()


def test_a_file_that_was_changed_since_fails_the_region_and_commits_nothing(world: World):
    world.add_region("home")
    source = world.file("os.vhd", fixed_vhd(some_bytes(MIB)))
    world.file("os.vhd", fixed_vhd(some_bytes(MIB, 2)))
    cause = cause_of(copied(world, source))
    assert (cause.reason, cause.retryable) == ("SOURCE_CHANGED", False)
    assert cause.metadata["source"] == "vhds/os.vhd"
    assert cause.metadata["expected"] == source.etag
    assert cause.metadata["found"] not in {"", source.etag}
    assert objects_of(world) == {}
    assert read_version(world.slot_store("home"), UID) is None


def test_a_file_that_changes_while_it_is_copied_commits_nothing(world: World):
    world.add_region("home", bandwidth=8 * MIB)
    source = world.file("os.vhd", fixed_vhd(some_bytes(24 * MIB)))
    record = world.ensure(world.desired({"os": source}, {"home": 1}, form=VHD))
    with world.working():
        world.wait_state(CopyState.COPYING, "home")
        with (world.root / "files" / "os.vhd").open("r+b") as file:
            file.write(b"changed")
        view = world.wait_end(record.id)
    cause = cause_of(view)
    assert cause.reason == "SOURCE_CHANGED"
    assert cause.metadata["expected"] == source.etag
    assert read_version(world.slot_store("home"), UID) is None
    assert not list((world.root / "home" / "1" / "manifests").rglob("*/*"))


def test_a_reading_that_was_interrupted_goes_on_where_it_was(world: World):
    world.add_region("home", bandwidth=12 * MIB)
    disk = some_bytes(24 * MIB)
    source = world.file("os.vhd", fixed_vhd(disk))
    record = world.ensure(world.desired({"os": source}, {"home": 1}, form=VHD))
    with world.working():
        wait_for(lambda: len(journals_of(world)) >= 2)
    early = journals_of(world)
    kept = {path: path.stat().st_ino for path in objects_of(world)}
    with world.working():
        view = world.wait_end(record.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os") == disk
    assert len(early) >= 2
    assert all(path.stat().st_ino == inode for path, inode in kept.items())
    assert journals_of(world) == []


def test_a_slot_that_began_with_the_source_goes_on_with_a_replica(world: World):
    world.add_region("home", 2, bandwidth=12 * MIB)
    disk = some_bytes(24 * MIB)
    source = world.file("os.vhd", fixed_vhd(disk))
    record = world.ensure(world.desired({"os": source}, {"home": 1}, form=VHD))
    with world.working():
        wait_for(lambda: len(journals_of(world)) >= 1)
    # The first slot gives up, and another one brings the version into the region.
    failed = replace(world.replica("home"), state=CopyState.FAILED)
    world.rows.transact(lambda tx: tx.replicas.put(failed))
    assert journals_of(world)
    other = replace(failed, slot="s2", state=CopyState.PENDING, owner="", fence=0)
    world.rows.transact(lambda tx: tx.replicas.put(other))
    disks = world.rows.read(lambda tx: tx.replicas.disks(UID, "home", "s1"))
    again = [replace(one, slot="s2", state=CopyState.PENDING) for one in disks]
    for one in again:
        world.rows.transact(lambda tx, disk=one: tx.replicas.put_disk(disk))  # type: ignore[misc]
    with world.working():
        world.wait_state(CopyState.COMPLETED, "home", "s2")
        both = world.ensure(world.desired({"os": source}, {"home": 2}, form=VHD, generation=2))
        view = world.wait_end(both.id)
    assert view.record.state is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os", "s1") == disk
    assert record.id != both.id


def test_a_file_that_vanished_fails_the_region(world: World):
    world.add_region("home")
    source = world.file("os.vhd", fixed_vhd(some_bytes(MIB)))
    (world.root / "files" / "os.vhd").unlink()
    cause = cause_of(copied(world, source))
    assert (cause.reason, cause.retryable) == ("SOURCE_NOT_FOUND", False)
    assert cause.metadata["source"] == "vhds/os.vhd"


def test_a_file_of_another_region_than_the_home_region_is_refused(world: World):
    world.add_region("home")
    source = world.file("os.vhd", fixed_vhd(some_bytes(MIB)))
    stores = world.files._stores
    stores["vhds"] = replace(stores["vhds"], location="east")
    cause = cause_of(copied(world, source))
    assert cause.reason == "SOURCE_LOCATION_MISMATCH"
    assert (cause.metadata["location"], cause.metadata["home_location"]) == ("east", "home")


def test_a_store_that_is_allowed_no_more_can_be_retried(world: World):
    world.add_region("home")
    source = world.file("os.vhd", fixed_vhd(some_bytes(MIB)))
    world.files._stores.clear()
    cause = cause_of(copied(world, source))
    assert (cause.reason, cause.retryable) == ("SOURCE_UNAVAILABLE", True)
    assert world.inspection.inspect(store_file("os.vhd")) is None


def test_an_object_of_a_bucket_is_pinned_by_its_etag(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The client is obstore's; what it talks to is a directory."""
    (tmp_path / "bucket").mkdir()
    monkeypatch.setattr(
        bucket, "open_client", lambda url, options: LocalClient(prefix=tmp_path / "bucket")
    )
    world.files._stores["vhds"] = SourceStore("home", StoreAddress("s3://bucket/vhds"))
    world.add_region("home")
    disk = some_bytes(5 * MIB) + bytes(4 * MIB)
    (tmp_path / "bucket" / "os.vhd").write_bytes(fixed_vhd(disk))
    found = world.inspection.inspect(store_file("os.vhd"))
    assert found is not None
    assert (found.size_bytes, found.format, found.problem) == (9 * MIB, "VHD_FIXED", None)
    for path in ("missing.vhd", "nul\0.vhd", "tab\t.vhd"):
        assert world.inspection.inspect(store_file(path)) is None
    assert world.inspection.inspect(store_file("")) is not None
    source = store_file("os.vhd", etag=found.etag)
    assert copied(world, source).record.state is ReplicationState.COMPLETED
    assert world.content(UID, "home", "os") == disk
    (tmp_path / "bucket" / "os.vhd").write_bytes(fixed_vhd(disk[::-1]))
    again = world.desired({"os": source}, {"home": 1}, uid="b" * 32, form=VHD)
    record = world.ensure(again)
    with world.working():
        cause = cause_of(world.wait_end(record.id))
    assert cause.reason == "SOURCE_CHANGED"
    assert cause.metadata["expected"] == source.etag
