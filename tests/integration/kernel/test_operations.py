import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from services.kernel.clock import FakeClock, SystemClock
from services.kernel.db.operations import KEPT_AFTER_END, Operation, OperationStore
from services.kernel.errors import FailedPrecondition, InvalidName, NotFound
from services.kernel.filter import Comparison, Op


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(kernel, clock) -> OperationStore:
    return OperationStore(kernel.db, kernel.operations, clock)


def create(kernel, store: OperationStore, **changes) -> Operation:
    values = {
        "subscription": "subscriptions/S1",
        "owner": "tenants/t/users/u",
        "verb": "create",
        "target": "subscriptions/S1/things/T",
        "metadata": b"meta",
        "detail": {"generation": 1},
    } | changes

    def run(tx: Connection) -> Operation:
        return store.create(tx, **values)

    created: Operation = kernel.db.transact(run)
    return created


def test_a_created_operation_is_read_back_whole(kernel, store):
    created = create(kernel, store)
    assert kernel.db.read(lambda c: store.get(c, created.name)) == created
    assert created.name == f"subscriptions/S1/operations/{created.id}"
    assert not created.done


def test_an_operation_without_detail_has_an_empty_one(kernel, store):
    created = create(kernel, store, detail=None)
    assert kernel.db.read(lambda c: store.require(c, created.name)).detail == {}


def test_a_name_is_found_in_any_spelling(kernel, store):
    created = create(kernel, store)
    spelled = f"Subscriptions/s1/OPERATIONS/{created.id.upper()}"
    assert kernel.db.read(lambda c: store.require(c, spelled)) == created


def test_an_operation_is_found_in_its_own_subscription_only(kernel, store):
    created = create(kernel, store)
    with pytest.raises(NotFound):
        kernel.db.read(lambda c: store.require(c, f"subscriptions/s2/operations/{created.id}"))
    with pytest.raises(InvalidName):
        kernel.db.read(lambda c: store.require(c, f"operations/{created.id}"))


def test_success_and_failure_end_an_operation_once(kernel, store, clock):
    good, bad = create(kernel, store), create(kernel, store)
    clock.advance(5)
    assert kernel.db.transact(lambda tx: store.succeed(tx, good.name, b"any", metadata=b"end"))
    assert kernel.db.transact(lambda tx: store.fail(tx, bad.name, b"status"))
    assert not kernel.db.transact(lambda tx: store.fail(tx, good.name, b"late"))
    assert not kernel.db.transact(lambda tx: store.progress(tx, bad.name, b"late"))
    ended = kernel.db.read(lambda c: store.require(c, good.name))
    assert (ended.response, ended.error, ended.metadata) == (b"any", None, b"end")
    assert ended.end_time == ended.update_time == clock.now()
    failed = kernel.db.read(lambda c: store.require(c, bad.name))
    assert (failed.response, failed.error, failed.metadata) == (None, b"status", b"meta")


def test_progress_replaces_metadata_and_detail(kernel, store):
    created = create(kernel, store)
    kernel.db.transact(lambda tx: store.progress(tx, created.name, b"half", detail={"x": 2}))
    kernel.db.transact(lambda tx: store.progress(tx, created.name, b"more"))
    found = kernel.db.read(lambda c: store.require(c, created.name))
    assert (found.metadata, found.detail) == (b"more", {"x": 2})


def test_cancellation_is_a_request_until_the_end(kernel, store):
    created = create(kernel, store)
    assert kernel.db.transact(lambda tx: store.cancel(tx, created.name))
    assert kernel.db.read(lambda c: store.require(c, created.name)).cancel_requested
    kernel.db.transact(lambda tx: store.succeed(tx, created.name, b"any"))
    assert not kernel.db.transact(lambda tx: store.cancel(tx, created.name))
    with pytest.raises(NotFound):
        kernel.db.transact(lambda tx: store.cancel(tx, "subscriptions/s1/operations/none"))


def test_only_an_ended_operation_is_deleted(kernel, store):
    created = create(kernel, store)
    with pytest.raises(FailedPrecondition):
        kernel.db.transact(lambda tx: store.delete(tx, created.name))
    kernel.db.transact(lambda tx: store.succeed(tx, created.name, b"any"))
    kernel.db.transact(lambda tx: store.delete(tx, created.name))
    assert kernel.db.read(lambda c: store.get(c, created.name)) is None


def test_pages_list_every_operation_of_a_subscription_once(kernel, store, clock):
    names = []
    for number in range(7):
        names.append(create(kernel, store, operation_id=f"{number:x}").name)
        clock.advance(number % 2)
    create(kernel, store, subscription="subscriptions/s2")
    pages, after = [], None
    while page := kernel.db.read(
        lambda c, after=after: store.list(c, "subscriptions/s1", limit=3, after=after)
    ):
        pages.append([operation.name for operation in page])
        after = (page[-1].create_time, page[-1].id)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page] == names


def test_a_list_is_narrowed_by_owner_and_by_end(kernel, store):
    mine = create(kernel, store, owner="me")
    create(kernel, store, owner="other")
    kernel.db.transact(lambda tx: store.succeed(tx, mine.name, b"any"))

    def listed(**filters):
        found = kernel.db.read(lambda c: store.list(c, "subscriptions/s1", limit=9, **filters))
        return sorted(operation.owner for operation in found)

    assert listed() == ["me", "other"]
    assert listed(owner="me") == ["me"]
    assert listed(comparisons=[Comparison("done", Op.EQ, value=False)]) == ["other"]
    assert listed(comparisons=[Comparison("done", Op.NE, value=False)]) == ["me"]


def test_unfinished_operations_are_found_by_target(kernel, store):
    one = create(kernel, store, target="subscriptions/S1/things/T/versions/01.0.0")
    done = create(kernel, store, target="subscriptions/S1/things/T/versions/1.0.0")
    create(kernel, store)
    kernel.db.transact(lambda tx: store.succeed(tx, done.name, b"any"))
    target = "subscriptions/s1/things/t/versions/1.00.0"
    assert kernel.db.read(lambda c: store.unfinished(c, target)) == [one]


def test_waiting_ends_with_the_operation(kernel):
    store = OperationStore(kernel.db, kernel.operations, SystemClock())
    created = create(kernel, store)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, created.name, 30.0)
        kernel.db.transact(lambda tx: store.succeed(tx, created.name, b"any"))
        assert waiting.result(timeout=20).response == b"any"


def test_waiting_notices_an_end_in_another_process(kernel, database_url, open_database):
    clock = SystemClock()
    here = OperationStore(kernel.db, kernel.operations, clock)
    other = open_database(database_url)
    there = OperationStore(other, kernel.operations, clock)
    created = create(kernel, here)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(here.wait, created.name, 30.0)
        other.transact(lambda tx: there.succeed(tx, created.name, b"any"))
        assert waiting.result(timeout=20).done


def test_waiting_answers_the_unfinished_operation_at_the_deadline(kernel, store):
    created = create(kernel, store)
    assert store.wait(created.name, 0) == created
    with pytest.raises(NotFound):
        store.wait("subscriptions/s1/operations/none", 30)


def test_waiting_ends_when_the_caller_is_gone(kernel):
    store = OperationStore(kernel.db, kernel.operations, SystemClock())
    created = create(kernel, store)
    gone = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, created.name, 30.0, alive=lambda: not gone.is_set())
        gone.set()
        assert waiting.result(timeout=20) == created


def test_operations_are_purged_thirty_days_after_their_end(kernel, store, clock):
    ended, open_ = create(kernel, store), create(kernel, store)
    kernel.db.transact(lambda tx: store.succeed(tx, ended.name, b"any"))
    clock.advance(KEPT_AFTER_END.total_seconds())
    assert kernel.db.transact(store.purge) == 0
    clock.advance(1)
    assert kernel.db.transact(store.purge) == 1
    assert kernel.db.read(lambda c: store.get(c, ended.name)) is None
    assert kernel.db.read(lambda c: store.get(c, open_.name)) == open_
