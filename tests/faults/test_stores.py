"""Stores that are full, read-only, away or another one: their region waits or fails, no other."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.replication.domain.desired import DesiredReplicas
from services.replication.domain.states import CopyState, ReplicationState
from services.replication.usecases.retry import Retry
from tests.faults.invariants import assert_invariants
from tests.faults.workers import on_sqlite
from tests.integration.replication.world import MIB, World, some_bytes

UID = "a" * 32
DISKS = {"os": some_bytes(5 * MIB, 1), "0": some_bytes(MIB, 2)}


@pytest.fixture
def remount(world: World, needs_tool: Callable[[str], str]) -> Iterator[Callable[[str], None]]:
    """A region `far` in a small file system of its own, and what mounts it otherwise."""
    mount = needs_tool("mount")
    point = world.root / "far" / "1"
    point.mkdir(parents=True)

    def run(options: str, *more: str) -> None:
        done = subprocess.run(
            [mount, "-o", options, *more, str(point)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"this user may not mount a tmpfs: {done.stderr.strip()}")

    run("size=4m", "-t", "tmpfs", "tmpfs")
    yield lambda options: run(f"remount,{options}")
    world.stores.close()
    subprocess.run([needs_tool("umount"), str(point)], check=True)


def wanted(world: World) -> DesiredReplicas:
    disks = {name: world.upload(name, data) for name, data in DISKS.items()}
    return world.desired(disks, {"home": 1, "far": 1})


@on_sqlite
def test_a_store_that_is_full_is_waited_for(world: World, remount: Callable[[str], None]) -> None:
    world.add_region("home")
    world.add_region("far")
    record = world.ensure(wanted(world))
    with world.working():
        paused = world.wait_state(CopyState.PAUSED, "far")
        assert paused.cause is not None
        assert paused.cause.reason == "STORE_FULL"
        world.wait_state(CopyState.COMPLETED, "home")
        remount("size=64m")
        ended = world.wait_end(record.id)
    assert ended.record.state is ReplicationState.COMPLETED
    assert_invariants(world, {UID: DISKS})


@on_sqlite
def test_a_store_that_is_read_only_fails_its_region_which_can_be_tried_again(
    world: World, remount: Callable[[str], None]
) -> None:
    remount("size=64m")
    world.add_region("home")
    world.add_region("far")
    remount("ro")
    desired = wanted(world)
    with world.working():
        ended = world.wait_end(world.ensure(desired).id)
        assert ended.record.state is ReplicationState.FAILED
        cause = next(one.region.cause for one in ended.regions if one.region.location == "far")
        assert cause is not None
        assert cause.reason == "STORE_ACCESS_DENIED"
        remount("rw")
        assert_invariants(world, {UID: DISKS})
        again = world.ensure(desired, retry=Retry("again", ("far",)))
        assert world.wait_end(again.id).record.state is ReplicationState.COMPLETED
    assert_invariants(world, {UID: DISKS})


@on_sqlite
def test_a_store_that_vanishes_is_waited_for(world: World) -> None:
    world.add_region("home")
    world.add_region("far")
    record = world.ensure(wanted(world))
    root = world.root / "far" / "1"
    away = root.with_name("away")
    root.rename(away)
    with world.working():
        paused = world.wait_state(CopyState.PAUSED, "far")
        assert paused.cause is not None
        assert paused.cause.reason == "STORE_UNAVAILABLE"
        away.rename(root)
        ended = world.wait_end(record.id)
    assert ended.record.state is ReplicationState.COMPLETED
    assert_invariants(world, {UID: DISKS})


@on_sqlite
def test_another_store_in_the_place_of_one_gets_nothing(world: World) -> None:
    world.add_region("home")
    world.add_region("far")
    root, kept = world.root / "far" / "1", world.root / "far" / "kept"
    shutil.copytree(root, kept)
    (root / "replica-id").write_text("0" * 32)
    desired = wanted(world)
    with world.working():
        ended = world.wait_end(world.ensure(desired).id)
        assert ended.record.state is ReplicationState.FAILED
        assert list(files(root / "refs")) == []
        shutil.rmtree(root)
        kept.rename(root)
        assert_invariants(world, {UID: DISKS})
        again = world.ensure(desired, retry=Retry("again", ("far",)))
        assert world.wait_end(again.id).record.state is ReplicationState.COMPLETED
    assert_invariants(world, {UID: DISKS})


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
