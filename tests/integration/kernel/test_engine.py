"""What a store may rely on, on SQLite and on PostgreSQL alike."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.kernel.db.engine import Database, after_commit
from services.kernel.errors import Unavailable

METADATA = MetaData()
ITEMS = Table(
    "items",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("value", Text, nullable=False),
)


@pytest.fixture
def items(db: Database) -> Database:
    db.transact(METADATA.create_all)
    return db


def put(number: int, value: str = "") -> Callable[[Connection], int]:
    def run(tx: Connection) -> int:
        tx.execute(insert(ITEMS).values(id=number, value=value))
        return number

    return run


def ids(connection: Connection) -> list[int]:
    return list(connection.execute(select(ITEMS.c.id).order_by(ITEMS.c.id)).scalars())


def test_what_a_transaction_wrote_is_read_after_it(items: Database):
    assert items.transact(put(1)) == 1
    assert items.read(ids) == [1]


def test_an_exception_rolls_back_and_reaches_the_caller(items: Database):
    def fail(tx: Connection) -> None:
        put(1)(tx)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        items.transact(fail)
    assert items.read(ids) == []


def test_a_broken_constraint_reaches_the_caller_as_what_it_is(items: Database):
    items.transact(put(1))
    with pytest.raises(IntegrityError):
        items.transact(put(1))
    assert items.transact(put(2)) == 2


def test_a_nested_savepoint_is_rolled_back_alone(items: Database):
    def run(tx: Connection) -> None:
        put(1)(tx)
        with pytest.raises(IntegrityError), tx.begin_nested():
            put(1)(tx)
        put(2)(tx)

    items.transact(run)
    assert items.read(ids) == [1, 2]


def test_a_read_cannot_write(items: Database):
    with pytest.raises(DBAPIError):
        items.read(put(1))
    with pytest.raises(DBAPIError):
        items.snapshot(put(1))
    assert items.read(ids) == []


def test_a_read_sees_the_newest_commit_and_a_snapshot_one_moment(items: Database):
    def around_a_commit(connection: Connection) -> tuple[list[int], list[int]]:
        before = ids(connection)
        with ThreadPoolExecutor(1) as other:
            other.submit(items.transact, put(1)).result()
        return before, ids(connection)

    assert items.snapshot(around_a_commit) == ([], [])
    items.transact(lambda tx: tx.execute(ITEMS.delete()))
    assert items.read(around_a_commit) == ([], [1])


def test_the_database_is_refused_inside_a_transaction(items: Database):
    def nested_read(tx: Connection) -> list[int]:
        return items.read(ids)

    def nested_transaction(tx: Connection) -> int:
        return items.transact(put(1))

    for nested in (nested_read, nested_transaction):
        with pytest.raises(RuntimeError, match="use its connection"):
            items.transact(nested)
    assert items.transact(put(2)) == 2


def test_a_callback_runs_after_the_commit_and_never_without_one(items: Database):
    seen: list[list[int]] = []
    done = threading.Event()

    def look() -> None:
        # Another thread, since the writer's own may not read.
        with ThreadPoolExecutor(1) as other:
            seen.append(other.submit(items.read, ids).result())
        done.set()

    def failing(tx: Connection) -> None:
        after_commit(tx, lambda: seen.append([-1]))
        raise KeyError

    def succeeding(tx: Connection) -> None:
        put(1)(tx)
        after_commit(tx, look)

    with pytest.raises(KeyError):
        items.transact(failing)
    items.transact(succeeding)
    assert done.wait(10)
    assert seen == [[1]]


def test_a_failing_callback_does_not_fail_the_transaction(items: Database, caplog):
    def run(tx: Connection) -> int:
        after_commit(tx, lambda: 1 // 0)
        return put(1)(tx)

    assert items.transact(run) == 1
    assert items.transact(put(2)) == 2
    assert "a callback after a commit failed" in caplog.text


def test_read_modify_write_under_a_row_lock_loses_no_update(items: Database):
    items.transact(put(1, "0"))

    def increment(tx: Connection) -> None:
        row = select(ITEMS.c.value).where(ITEMS.c.id == 1).with_for_update()
        value = int(tx.execute(row).scalar_one())
        tx.execute(update(ITEMS).where(ITEMS.c.id == 1).values(value=str(value + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: items.transact(increment), range(40)))
    assert items.read(lambda c: c.execute(select(ITEMS.c.value)).scalar_one()) == "40"


def test_serializable_transactions_are_repeated_after_a_conflict(items: Database):
    items.transact(put(1, "0"))

    def increment(tx: Connection) -> None:
        value = int(tx.execute(select(ITEMS.c.value).where(ITEMS.c.id == 1)).scalar_one())
        tx.execute(update(ITEMS).where(ITEMS.c.id == 1).values(value=str(value + 1)))

    with ThreadPoolExecutor(2) as pool:
        for future in [
            pool.submit(items.transact, increment, isolation="SERIALIZABLE") for _ in range(10)
        ]:
            future.result()
    assert items.read(lambda c: c.execute(select(ITEMS.c.value)).scalar_one()) == "10"


def test_statements_are_collected_inside_the_block_only(items: Database):
    items.read(ids)
    with items.statements() as statements:
        items.transact(put(1))
        items.read(ids)
    items.read(ids)
    assert [statement.split()[0] for statement in statements] == ["INSERT", "SELECT"]


def test_a_thread_keeps_reading_after_others_have_ended(items: Database):
    items.transact(put(1))
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: items.read(ids), range(8))) == [[1]] * 8
    assert items.read(ids) == [1]


def test_a_closed_database_refuses_work(items: Database):
    items.transact(put(1))
    items.close()
    items.close()
    with pytest.raises(RuntimeError, match="closed"):
        items.transact(put(2))
    with ThreadPoolExecutor(1) as fresh, pytest.raises(RuntimeError, match="closed"):
        fresh.submit(items.read, ids).result()


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_served_is_refused(url: str):
    with pytest.raises(ValueError, match="SQLite"):
        Database.open(url)


def test_a_lock_that_another_process_keeps_is_unavailable(database_url: str, open_database):
    holder = open_database(database_url)
    other = open_database(database_url, busy_timeout=0.05)
    holder.transact(METADATA.create_all)
    holder.transact(put(1))
    locked, release = threading.Event(), threading.Event()

    def hold(tx: Connection) -> None:
        tx.execute(update(ITEMS).where(ITEMS.c.id == 1).values(value="held"))
        locked.set()
        release.wait(10)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(holder.transact, hold)
        assert locked.wait(10)
        change = update(ITEMS).where(ITEMS.c.id == 1).values(value="other")
        with pytest.raises(Unavailable) as refused:
            other.transact(lambda tx: tx.execute(change))
        release.set()
        holding.result()
    assert refused.value.metadata == {"service": "database"}
    assert refused.value.retry_after is not None
    other.transact(lambda tx: tx.execute(change))
    assert other.read(lambda c: c.execute(select(ITEMS.c.value)).scalar_one()) == "other"
