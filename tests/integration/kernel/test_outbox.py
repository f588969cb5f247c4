import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select

from services.kernel.clock import FakeClock, SystemClock
from services.kernel.db.outbox import Outbox, OutboxDrainer, OutboxMessage
from services.kernel.telemetry import trace


class Receiver:
    """Notes what it is sent, and fails where it is told to."""

    def __init__(self):
        self.received: list[tuple[str, bytes]] = []
        self.failing: set[bytes] = set()
        self.lock = threading.Lock()

    def __call__(self, message: OutboxMessage) -> None:
        with self.lock:
            self.received.append((message.aggregate, message.payload))
        if message.payload in self.failing:
            raise ConnectionError(message.payload.decode())

    def of(self, aggregate: str) -> list[bytes]:
        return [payload for name, payload in self.received if name == aggregate]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outbox(kernel, clock) -> Outbox:
    return Outbox(kernel.outbox, clock)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def drainer(kernel, outbox, receiver) -> OutboxDrainer:
    return OutboxDrainer(kernel.db, outbox, {"say": receiver}, stuck_after=2)


def say(db, outbox: Outbox, aggregate: str, *payloads: bytes) -> None:
    def run(tx: Connection) -> None:
        for payload in payloads:
            outbox.add(tx, aggregate, "say", payload, trace_context="00-trace")

    db.transact(run)


def drain(drainer: OutboxDrainer) -> None:
    while drainer.run_once():
        pass


def test_messages_of_an_aggregate_arrive_in_their_order(kernel, outbox, drainer, receiver):
    say(kernel.db, outbox, "a", b"1", b"2")
    say(kernel.db, outbox, "b", b"1")
    say(kernel.db, outbox, "a", b"3")
    drain(drainer)
    assert receiver.of("a") == [b"1", b"2", b"3"]
    assert receiver.of("b") == [b"1"]


def test_a_sent_message_is_not_sent_again(kernel, outbox, drainer, receiver):
    say(kernel.db, outbox, "a", b"1")
    drain(drainer)
    assert drainer.run_once() == 0
    assert len(receiver.received) == 1


def test_nothing_is_sent_of_a_transaction_that_was_rolled_back(kernel, outbox, drainer, receiver):
    def fail(tx: Connection) -> None:
        outbox.add(tx, "a", "say", b"1")
        raise KeyError

    with pytest.raises(KeyError):
        kernel.db.transact(fail)
    assert drainer.run_once() == 0


def test_a_failure_holds_back_its_own_aggregate_only(kernel, outbox, drainer, receiver):
    receiver.failing = {b"bad"}
    say(kernel.db, outbox, "a", b"bad", b"after")
    say(kernel.db, outbox, "b", b"good")
    drain(drainer)
    assert receiver.of("a") == [b"bad"]
    assert receiver.of("b") == [b"good"]


def test_a_failed_message_is_tried_again_after_its_delay(kernel, outbox, drainer, receiver, clock):
    receiver.failing = {b"bad"}
    say(kernel.db, outbox, "a", b"bad", b"after")
    drain(drainer)
    assert drainer.run_once() == 0
    receiver.failing = set()
    clock.advance(0.2)
    drain(drainer)
    assert receiver.of("a") == [b"bad", b"bad", b"after"]


def test_failures_are_recorded_in_the_row_and_counted(
    kernel, outbox, drainer, receiver, clock, caplog
):
    receiver.failing = {b"bad"}
    say(kernel.db, outbox, "a", b"bad")
    for _ in range(2):
        drain(drainer)
        clock.advance(60)
    columns = kernel.outbox.c
    row = kernel.db.read(lambda c: c.execute(select(columns.attempts, columns.last_error)).one())
    assert row == (2, "ConnectionError: bad")
    stats = kernel.db.read(lambda c: outbox.stats(c, stuck_after=2))
    assert (stats.unsent, stats.stuck) == (1, 1)
    assert stats.oldest == FakeClock().now()
    ours = [one.levelname for one in caplog.records if one.name == "services.kernel.db.outbox"]
    assert ours == ["WARNING", "ERROR"]


def test_a_message_that_nothing_handles_stays(kernel, outbox, drainer, receiver):
    kernel.db.transact(lambda tx: outbox.add(tx, "a", "unheard", b""))
    drain(drainer)
    assert kernel.db.read(lambda c: outbox.stats(c, stuck_after=9)).unsent == 1


def test_a_failed_send_is_reported(kernel, outbox, receiver):
    told: list[tuple[bytes, str]] = []
    drainer = OutboxDrainer(
        kernel.db,
        outbox,
        {"say": receiver},
        on_failure=lambda message, error: told.append((message.payload, str(error))),
    )
    receiver.failing = {b"bad"}
    say(kernel.db, outbox, "a", b"bad")
    drain(drainer)
    assert told == [(b"bad", "bad")]


def test_the_handler_sees_the_trace_of_the_sender(kernel, outbox):
    seen: list[OutboxMessage] = []
    drainer = OutboxDrainer(kernel.db, outbox, {"say": seen.append})
    say(kernel.db, outbox, "a", b"1")
    drain(drainer)
    assert [(m.trace_context, m.attempts, m.create_time) for m in seen] == [
        ("00-trace", 0, FakeClock().now())
    ]


def test_the_order_of_an_aggregate_holds_with_concurrent_writers(kernel, outbox, drainer, receiver):
    order: list[bytes] = []
    lock = threading.Lock()

    def write(number: int) -> None:
        def run(tx: Connection) -> None:
            outbox.add(tx, "a", "say", b"%d" % number)
            # Whoever holds the aggregate's place in the order gets here alone.
            with lock:
                order.append(b"%d" % number)

        kernel.db.transact(run)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    drain(drainer)
    assert receiver.of("a") == order


def test_the_loop_sends_what_this_and_another_process_add(
    kernel, database_url, open_database, receiver
):
    clock = SystemClock()
    outbox = Outbox(kernel.outbox, clock)
    drainer = OutboxDrainer(kernel.db, outbox, {"say": receiver})
    other = open_database(database_url)
    stop = threading.Event()
    loop = threading.Thread(target=drainer.run, args=(stop,))
    loop.start()
    try:
        say(kernel.db, outbox, "a", b"1", b"2")
        say(other, Outbox(kernel.outbox, clock), "b", b"1")
        while len(set(receiver.received)) < 3:
            stop.wait(0.01)
    finally:
        stop.set()
        loop.join()
    # At least once: where it cannot be recorded that one was sent, it is sent again.
    assert list(dict.fromkeys(receiver.of("a"))) == [b"1", b"2"]
    assert set(receiver.of("b")) == {b"1"}


def test_old_sent_messages_are_purged_and_others_kept(kernel, outbox, drainer, receiver, clock):
    receiver.failing = {b"bad"}
    say(kernel.db, outbox, "old", b"1")
    say(kernel.db, outbox, "unsent", b"bad")
    drain(drainer)
    clock.advance(3600)
    say(kernel.db, outbox, "new", b"1")
    drain(drainer)
    purged = kernel.db.transact(lambda tx: outbox.purge(tx, older_than=timedelta(minutes=30)))
    left = kernel.db.read(lambda c: c.execute(select(kernel.outbox.c.aggregate)).scalars().all())
    assert purged == 1
    assert sorted(left) == ["new", "unsent"]


def test_a_handler_runs_in_the_trace_of_its_message(kernel, outbox):
    seen: list[str] = []
    headers = [trace.TraceContext.fresh(sampled=True).header() for _ in range(2)]
    for header in headers:
        kernel.db.transact(
            lambda tx, header=header: outbox.add(tx, header, "say", b"", trace_context=header)
        )
    drainer = OutboxDrainer(
        kernel.db, outbox, {"say": lambda message: seen.append(trace.current_header())}
    )
    drain(drainer)
    assert sorted(seen) == sorted(headers)
    assert trace.current() is None
