import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from services.kernel.clock import FakeClock
from services.kernel.errors import OutOfRange, PositionCompacted
from services.kernel.feed.log import FeedCursors, FeedHead, FeedLog, FeedPosition
from services.kernel.feed.probe import ChangeProbe


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(kernel, clock) -> FeedLog:
    return FeedLog(kernel.feed, clock)


def append(kernel, log: FeedLog, *payloads: bytes) -> int:
    position: int = kernel.db.transact(lambda tx: log.append_all(tx, payloads))
    return position


def read(kernel, log: FeedLog, position: int, limit: int = 100, **epoch) -> list[bytes]:
    entries = kernel.db.read(lambda c: log.read_after(c, position, limit, **epoch))
    assert [e.position for e in entries] == list(range(position + 1, position + 1 + len(entries)))
    return [entry.payload for entry in entries]


def test_an_empty_log_has_nothing_and_a_head_of_zero(kernel, log):
    assert kernel.db.read(log.head) == FeedHead(1, 0, 0)
    assert read(kernel, log, 0) == []


def test_positions_are_dense_and_read_in_order(kernel, log):
    assert append(kernel, log, b"1") == 1
    assert append(kernel, log, b"2", b"3") == 3
    assert read(kernel, log, 0) == [b"1", b"2", b"3"]
    assert read(kernel, log, 1, limit=1) == [b"2"]
    assert read(kernel, log, 3) == []
    assert kernel.db.read(log.head) == FeedHead(1, 3, 0)


def test_a_rolled_back_change_leaves_no_gap(kernel, log):
    append(kernel, log, b"1")

    def fail(tx: Connection) -> None:
        log.append(tx, b"lost")
        raise KeyError

    with pytest.raises(KeyError):
        kernel.db.transact(fail)
    assert append(kernel, log, b"2") == 2
    assert read(kernel, log, 0) == [b"1", b"2"]


def test_a_reader_never_passes_a_change_that_commits_later(kernel, log):
    seen: list[bytes] = []
    stop = threading.Event()

    def follow() -> None:
        while not (stop.is_set() and len(seen) == 60):
            seen.extend(read(kernel, log, len(seen)))

    with ThreadPoolExecutor(9) as pool:
        following = pool.submit(follow)
        list(pool.map(lambda n: append(kernel, log, b"%d" % n), range(60)))
        stop.set()
        following.result()
    assert seen == read(kernel, log, 0)
    assert sorted(map(int, seen)) == list(range(60))


def test_a_compacted_position_cannot_be_resumed_from(kernel, log, clock):
    append(kernel, log, b"1", b"2")
    clock.advance(60)
    append(kernel, log, b"3")
    old = clock.now() - timedelta(seconds=30)
    assert kernel.db.transact(lambda tx: log.compact(tx, older_than=old)) == 2
    assert kernel.db.transact(lambda tx: log.compact(tx, older_than=old)) == 2
    with pytest.raises(PositionCompacted) as refused:
        read(kernel, log, 1)
    assert refused.value.oldest == 2
    assert read(kernel, log, 2) == [b"3"]


def test_a_log_that_was_compacted_whole_goes_on(kernel, log, clock):
    append(kernel, log, b"1", b"2")
    clock.advance(1)
    assert kernel.db.transact(lambda tx: log.compact(tx, older_than=clock.now())) == 2
    assert read(kernel, log, 2) == []
    with pytest.raises(PositionCompacted):
        read(kernel, log, 0)
    assert append(kernel, log, b"3") == 3


def test_compaction_takes_a_bounded_step(kernel, log, clock):
    append(kernel, log, *(b"%d" % n for n in range(5)))
    clock.advance(1)
    assert kernel.db.transact(lambda tx: log.compact(tx, older_than=clock.now(), limit=3)) == 3


def test_a_position_that_was_never_given_out_is_refused(kernel, log):
    append(kernel, log, b"1")
    with pytest.raises(OutOfRange) as refused:
        read(kernel, log, 2)
    assert refused.value.metadata["newest"] == "1"


def test_positions_of_another_epoch_are_refused(kernel, log):
    append(kernel, log, b"1", b"2")
    assert read(kernel, log, 1, epoch=1) == [b"2"]
    assert kernel.db.transact(log.begin_epoch) == FeedHead(2, 2, 0)
    with pytest.raises(PositionCompacted):
        read(kernel, log, 1, epoch=1)
    assert read(kernel, log, 1, epoch=2) == [b"2"]


def test_the_locked_head_does_not_move(kernel, log):
    locked, release = threading.Event(), threading.Event()

    def hold(tx: Connection):
        head = log.lock_head(tx)
        locked.set()
        release.wait(10)
        return head

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(kernel.db.transact, hold)
        assert locked.wait(10)
        appending = pool.submit(append, kernel, log, b"1")
        assert kernel.db.read(log.head).position == 0
        release.set()
        assert holding.result() == FeedHead(1, 0, 0)
        assert appending.result() == 1


def test_reading_ahead_takes_one_statement(kernel, log):
    append(kernel, log, b"1", b"2")
    with kernel.db.statements() as statements:
        read(kernel, log, 0)
    assert len(statements) == 1


def test_the_probe_changes_with_what_another_process_appends(
    kernel, log, database_url, open_database
):
    probe = ChangeProbe(kernel.db, log)
    first, second = probe.current(), probe.current()
    open_database(database_url).transact(lambda tx: log.append(tx, b"1"))
    assert first == second
    assert probe.current() != second


def test_a_cursor_moves_with_the_transaction_that_applies(kernel):
    cursors = FeedCursors(kernel.feed_cursors)
    assert kernel.db.read(lambda c: cursors.get(c, "policy")) is None

    def fail(tx: Connection) -> None:
        cursors.set(tx, "policy", FeedPosition(1, 9))
        raise KeyError

    kernel.db.transact(lambda tx: cursors.set(tx, "policy", FeedPosition(1, 5)))
    with pytest.raises(KeyError):
        kernel.db.transact(fail)
    assert kernel.db.read(lambda c: cursors.get(c, "policy")) == FeedPosition(1, 5)
    kernel.db.transact(lambda tx: cursors.set(tx, "policy", FeedPosition(2, 1)))
    assert kernel.db.read(lambda c: cursors.get(c, "policy")) == FeedPosition(2, 1)
