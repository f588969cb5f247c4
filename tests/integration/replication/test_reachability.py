"""Stores that are away, that are others, that were emptied: what becomes of their replicas."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.kernel.clock import SystemClock
from services.kernel.violations import Violations
from services.replication.domain.states import Health, RegionState
from services.replication.domain.verification import Target
from services.replication.ports.requests import Request
from services.replication.usecases.claims import Task
from services.replication.usecases.copying import CopyReplica
from services.replication.usecases.healing import Healing, Look
from services.replication.usecases.reachability import Reachability
from services.replication.usecases.region_drafts import RegionDraft, slot_draft
from services.replication.usecases.regions import Regions, StoredRegion
from services.replication.usecases.slot_opening import SlotOpening
from services.replication.usecases.tasks import Tasks
from services.replication.usecases.verifying import VerificationWork
from services.replication.workers.healer import Healer
from services.replication.workers.housekeeping import Housekeeping
from tests.integration.replication.sound import assert_sound
from tests.integration.replication.test_healing import DATA, DISKS, NOW, OS, UID, look, publish
from tests.integration.replication.world import World


def keep_house(world: World) -> None:
    """As another process does it, which has no store open."""
    world.stores.close()
    reachability = Reachability(world.rows, world.stores, world.results)
    retention = timedelta(days=1)
    Housekeeping(world.rows, world.stores, reachability, lambda: None, retention=retention).once()


def mend(world: World) -> None:
    """Repair all that is due."""
    found = Healing(world.rows, world.stores, world.results)
    healer = Healer(found, VerificationWork(world.rows, found, None), None)  # type: ignore[arg-type]
    while healer.repair(NOW):
        world.stores.close()


def hurry(world: World) -> None:
    """Let what is to be tried again later be due."""
    due = replace(world.replica("far"), due_time=world.rows.read(lambda tx: tx.now()))
    world.rows.transact(lambda tx: tx.replicas.put(due))


def state_of(world: World) -> tuple[Health, RegionState, bool]:
    regions = world.rows.read(lambda tx: tx.versions.regions(UID))
    region = next(one for one in regions if one.location == "far")
    return world.replica("far").health, region.state, region.usable


def root_of(world: World) -> Path:
    return world.root / "far" / "1"


def told(world: World, since: tuple[str, int]) -> list[RegionState]:
    """What the feed says of the region."""
    items = world.rows.read(lambda tx: tx.feed.after(*since, 1000))
    found = [item.version_region.region for _, item in items if item.version_region is not None]
    return [one.state for one in found if one.location == "far"]


def test_a_store_that_is_away_twice_makes_its_replicas_unreachable_until_it_is_back(world: World):
    publish(world, {"home": 1, "far": 1})
    root = root_of(world)
    head = world.rows.read(lambda tx: tx.feed.head())
    # A file in the place of a directory: nothing there can be opened.
    root.rename(root.with_name("elsewhere"))
    root.write_text("not mounted")
    keep_house(world)
    assert state_of(world) == (Health.GOOD, RegionState.COMPLETED, True)
    keep_house(world)
    assert state_of(world) == (Health.UNREACHABLE, RegionState.DEGRADED, False)
    cause = world.replica("far").cause
    assert cause is not None
    assert cause.reason == "STORE_UNAVAILABLE"
    assert told(world, head) == [RegionState.DEGRADED]
    # Nothing is known to be wrong with its bytes, so nothing is repaired.
    assert {one.health for one in world.rows.read(lambda tx: tx.replicas.disks(UID, "far"))} == {
        Health.GOOD
    }
    assert world.replica("home").health is Health.GOOD
    root.unlink()
    root.with_name("elsewhere").rename(root)
    keep_house(world)
    assert state_of(world) == (Health.GOOD, RegionState.COMPLETED, True)
    assert world.replica("far").cause is None
    assert told(world, head) == [RegionState.DEGRADED, RegionState.COMPLETED]


def test_what_can_be_read_after_all_is_not_unreachable(world: World):
    publish(world, {"home": 1, "far": 1})
    root = root_of(world)
    root.rename(root.with_name("elsewhere"))
    root.write_text("not mounted")
    keep_house(world)
    keep_house(world)
    root.unlink()
    root.with_name("elsewhere").rename(root)
    # Nobody has looked at the store yet, but somebody reads.
    assert world.replica("far").is_readable
    look(world)
    assert state_of(world) == (Health.GOOD, RegionState.COMPLETED, True)


def other_replica(root: Path) -> None:
    (root / "replica-id").write_text("0" * 32)


def unmounted(root: Path) -> None:
    shutil.move(root, root.with_name("elsewhere"))
    root.mkdir()


@pytest.mark.parametrize("harm", [other_replica, unmounted])
def test_another_store_in_the_place_of_a_slot_has_lost_the_replicas_until_it_is_the_same_again(
    world: World, harm: Callable[[Path], None]
):
    publish(world, {"home": 1, "far": 1})
    root = root_of(world)
    replica_id = (root / "replica-id").read_text()
    head = world.rows.read(lambda tx: tx.feed.head())
    harm(root)
    keep_house(world)
    assert state_of(world) == (Health.LOST, RegionState.DEGRADED, False)
    assert told(world, head) == [RegionState.DEGRADED]
    assert not world.replica("far").is_readable
    # There is nowhere to repair it.
    mend(world)
    assert world.replica("far").health is Health.LOST
    if harm is unmounted:
        root.rmdir()
        shutil.move(root.with_name("elsewhere"), root)
    (root / "replica-id").write_text(replica_id)
    keep_house(world)
    assert world.replica("far").health is Health.DAMAGED
    mend(world)
    assert state_of(world) == (Health.GOOD, RegionState.COMPLETED, True)
    assert_sound(world, UID, DISKS)


def test_a_store_that_was_emptied_has_lost_the_replicas_and_gets_them_from_another(world: World):
    publish(world, {"home": 1, "far": 1})
    root = root_of(world)
    for part in ("refs", "manifests", "objects"):
        shutil.rmtree(root / part)
    keep_house(world)
    assert state_of(world) == (Health.LOST, RegionState.DEGRADED, False)
    disks = world.rows.read(lambda tx: tx.replicas.disks(UID, "far"))
    assert {one.health for one in disks} == {Health.LOST}
    keep_house(world)
    mend(world)
    # The disk that was repaired first has waited for the other one, without which there is no ref.
    hurry(world)
    mend(world)
    assert state_of(world) == (Health.GOOD, RegionState.COMPLETED, True)
    assert_sound(world, UID, DISKS)
    keep_house(world)
    assert world.replica("far").health is Health.GOOD


def replace_store(world: World, location: str, root: Path) -> None:
    """Give the first slot of a region an empty store in the place of the one that is gone."""
    regions = Regions(world.rows, SlotOpening(world.rows, world.stores), SystemClock())
    region = regions.get(location).region
    moved = replace(slot_draft(region.slots[0]), store_url=root.as_uri())
    asked: Request[StoredRegion] = Request("t1/ann", "update", "", b"", lambda _: b"")
    draft = RegionDraft(slots=(moved,))
    violations = Violations()
    regions.update(
        location, draft, ["slots"], asked, etag="", violations=violations, replaced=["s1"]
    )


@pytest.mark.parametrize("known", [Health.GOOD, Health.UNREACHABLE, Health.LOST])
def test_a_store_that_is_gone_for_good_is_replaced_and_filled_from_another(
    world: World, known: Health
):
    publish(world, {"home": 1, "far": 1})
    root = root_of(world)
    world.stores.close()
    shutil.rmtree(root)
    if known is Health.UNREACHABLE:
        root.write_text("not mounted")
        keep_house(world)
    elif known is Health.LOST:
        root.mkdir()
    if known is not Health.GOOD:
        keep_house(world)
    assert world.replica("far").health is known
    replace_store(world, "far", root.with_name("new"))
    # At no time is it said to be good before it is.
    assert world.replica("far").health is Health.DAMAGED
    for _ in range(3):
        keep_house(world)
        assert world.replica("far").health is Health.DAMAGED
    mend(world)
    hurry(world)
    mend(world)
    assert state_of(world) == (Health.GOOD, RegionState.COMPLETED, True)
    assert_sound(world, UID, DISKS)


def test_a_look_at_a_store_that_was_replaced_meanwhile_says_nothing_of_the_new(world: World):
    publish(world, {"home": 1, "far": 1})
    root = root_of(world)
    turn, replaced = threading.Lock(), threading.Event()

    def replace_once(_: int) -> None:
        with turn:  # Several threads read.
            if not replaced.is_set():
                root.rename(root.with_name("gone"))
                replace_store(world, "far", root.with_name("new"))
                replaced.set()

    healing = Healing(world.rows, world.stores, world.results)
    how = Look(repair=False, pace=replace_once)
    assert healing.look(UID, Target("far", "s1", "os"), how, NOW) is None
    assert replaced.is_set()
    assert world.replica("far").health is Health.DAMAGED


def test_a_copy_into_a_store_that_was_replaced_meanwhile_is_not_taken_for_one_in_the_new(
    world: World,
):
    for location in ("home", "far"):
        world.add_region(location)
    root = root_of(world)
    replaced = threading.Event()

    class Replacing(Tasks):
        """Has the store replaced between the ref in the old one and the record of it."""

        def complete(self, task: Task, *args: Any, **options: Any) -> None:
            if task.replica.location == "far" and not replaced.is_set():
                replaced.set()
                root.rename(root.with_name("gone"))
                replace_store(world, "far", root.with_name("new"))
            super().complete(task, *args, **options)

    tasks = Replacing(world.rows, world.results, world.settings)
    world.copier = CopyReplica(tasks, world.origins, world.stores, world.rights, files=world.files)
    disks = {"os": world.upload("os", OS), "0": world.upload("data", DATA)}
    with world.working():
        record = world.ensure(world.desired(disks, {"home": 1, "far": 1}))
        world.wait_end(record.id)
    assert replaced.is_set()
    assert state_of(world) == (Health.GOOD, RegionState.COMPLETED, True)
    assert_sound(world, UID, DISKS)


def test_a_slot_that_is_well_stays_so(world: World):
    publish(world, {"home": 1, "far": 1})
    world.add_region("empty")
    _, head = world.rows.read(lambda tx: tx.feed.head())
    before = world.replica("far")
    keep_house(world)
    assert world.replica("far") == before
    assert world.rows.read(lambda tx: tx.feed.head())[1] == head
