import gc
import threading
from datetime import UTC, datetime, timedelta

import pytest

from services.kernel.clock import FakeClock
from services.kernel.errors import InvalidName
from services.policy.consistency import LogPosition
from services.policy.index import load_index
from services.policy.model import Kind, Removed, Transaction
from services.policy.replica import PolicyReplica, RevisionGap
from tests.unit.policy.worlds import (
    GALLERY,
    HIERARCHY,
    PRINCIPALS,
    READ,
    VERSION,
    ask,
    assign,
    deny,
    role,
    user,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
LIFTED = Removed(Kind.DENY_ASSIGNMENT, f"{GALLERY}/denyassignments/d")
EVERYTHING = (*HIERARCHY, *PRINCIPALS, role(READ))


def replica(clock=None, **more) -> PolicyReplica:
    made = PolicyReplica(clock or FakeClock(), must_report=False, **more)
    made.load(LogPosition(1, 5), EVERYTHING)
    return made


def applied(held: PolicyReplica, revision: int, *changes) -> None:
    held.apply(Transaction(revision, changes))


def test_transactions_are_applied_in_order_once():
    held = replica()
    applied(held, 6, assign("r1", GALLERY))
    applied(held, 7, deny(GALLERY, user("alice")))
    applied(held, 6, assign("r1", GALLERY))
    assert held.position == LogPosition(1, 7)
    assert held.index is not None
    assert not ask(held.index, READ, VERSION).allowed


@pytest.mark.parametrize("revision", [7, 100])
def test_a_transaction_that_was_dropped_is_noticed(revision):
    held = replica()
    with pytest.raises(RevisionGap):
        applied(held, revision, assign("r1", GALLERY))
    assert held.position == LogPosition(1, 5)


def test_a_transaction_before_the_snapshot_is_noticed():
    with pytest.raises(RevisionGap):
        applied(PolicyReplica(FakeClock()), 1)


@pytest.mark.parametrize("position", [LogPosition(1, 4), LogPosition(0, 99)])
def test_a_snapshot_never_leads_back(position):
    held = replica()
    with pytest.raises(RevisionGap):
        held.load(position, ())
    assert held.position == LogPosition(1, 5)


def test_a_snapshot_of_a_later_epoch_replaces_everything():
    held = replica()
    applied(held, 6, assign("r1", GALLERY))
    held.load(LogPosition(2, 1), EVERYTHING)
    assert held.position == LogPosition(2, 1)
    assert held.index is not None
    assert not ask(held.index, READ, VERSION).allowed


def test_a_transaction_that_cannot_be_applied_changes_nothing():
    held = replica()
    before = held.index
    with pytest.raises(InvalidName):
        applied(held, 6, assign("r1", GALLERY), assign("r1", "not/a/scope"))
    assert held.index is before


def test_an_age_is_infinite_before_a_heartbeat():
    assert replica().age() == float("inf")


def test_the_age_grows_from_the_newest_heartbeat():
    clock = FakeClock(START)
    held = replica(clock)
    held.heartbeat(5, START)
    clock.advance(1.5)
    assert held.age() == 1.5
    held.heartbeat(5, START + timedelta(seconds=1.5))
    assert held.age() == 0.0


def test_a_heartbeat_ahead_counts_when_its_revision_is_applied_from_when_it_came():
    clock = FakeClock(START)
    held = replica(clock)
    held.heartbeat(7, START)
    applied(held, 6)
    assert held.age() == float("inf")
    clock.advance(3.0)
    applied(held, 7)
    assert held.age() == 3.0


def test_how_late_heartbeats_are_is_measured_for_each_connection():
    clock = FakeClock(START)
    held = replica(clock)
    held.heartbeat(5, START)
    clock.advance(10.0)
    held.heartbeat(5, START + timedelta(seconds=2))
    assert held.age() == 8.0
    held.connected()
    held.heartbeat(5, START + timedelta(seconds=2))
    assert held.age() == 0.0


def test_a_connection_begins_without_what_the_last_one_promised():
    clock = FakeClock(START)
    held = replica(clock)
    held.heartbeat(6, START)
    held.connected()
    applied(held, 6)
    assert held.age() == float("inf")


def test_a_replica_whose_reports_do_not_arrive_grows_old():
    clock = FakeClock(START)
    held = PolicyReplica(clock)
    held.load(LogPosition(1, 5), EVERYTHING)
    held.heartbeat(5, START)
    assert held.age() == float("inf")
    held.reported(clock.monotonic())
    assert held.age() == 0.0
    clock.advance(4.0)
    held.heartbeat(5, START + timedelta(seconds=4))
    assert held.age() == 4.0


def test_whoever_waits_is_woken_by_the_revision_they_wait_for():
    held = replica()
    found = []
    waiting = threading.Thread(
        target=lambda: found.append(held.wait_until(LogPosition(1, 7), 10.0))
    )
    waiting.start()
    applied(held, 6)
    applied(held, 7)
    waiting.join()
    assert [index and index.revision for index in found] == [7]


@pytest.mark.parametrize("position", [LogPosition(1, 6), LogPosition(2, 1), LogPosition(0, 1)])
def test_what_does_not_come_is_not_waited_for_longer(position):
    assert replica().wait_until(position, 0.001) is None


def test_a_change_wakes_who_waits_for_any():
    held = replica()
    seen = []

    def wait() -> None:
        held.wait_for_change(LogPosition(1, 5), 10.0, unless=threading.Event())
        seen.append(held.position)

    waiting = threading.Thread(target=wait)
    waiting.start()
    applied(held, 6)
    waiting.join()
    assert seen == [LogPosition(1, 6)]


def test_who_waits_for_a_change_can_be_told_to_stop():
    held = replica()
    stop = threading.Event()
    waiting = threading.Thread(
        target=lambda: held.wait_for_change(LogPosition(1, 5), 60.0, unless=stop)
    )
    waiting.start()
    stop.set()
    held.wake()
    waiting.join(10.0)
    assert not waiting.is_alive()


def test_readers_never_see_half_a_transaction():
    held = replica()
    torn = []
    done = threading.Event()

    def read() -> None:
        # Even revisions lift the deny, odd ones put it back: the grant is there in both.
        while not done.is_set():
            index = held.index
            assert index is not None
            decision = ask(index, READ, VERSION)
            if decision.allowed is not (index.revision % 2 == 0 and index.revision > 5):
                torn.append((index.revision, decision))

    reader = threading.Thread(target=read)
    reader.start()
    for revision in range(6, 400):
        if revision % 2 == 0:
            applied(held, revision, LIFTED, assign("r1", GALLERY))
        else:
            applied(held, revision, deny(GALLERY, user("alice"), id="d"), assign("r1", GALLERY))
    done.set()
    reader.join()
    assert torn == []


def test_a_snapshot_is_kept_away_from_the_garbage_collector():
    before = gc.get_freeze_count()
    gc.enable()
    load_index(1, 1, EVERYTHING)
    assert gc.isenabled()
    assert gc.get_freeze_count() > before
    gc.unfreeze()
