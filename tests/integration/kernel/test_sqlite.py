"""The writer of SQLite: groups, what is lost when a process is killed, and change probes."""

import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Integer, bindparam, column, func, select, table, text
from sqlalchemy.exc import IntegrityError

from services.kernel.db.engine import Database
from services.kernel.db.sqlite import SqliteDatabase
from services.kernel.errors import Unavailable

WRITER = """
import sys, threading
from sqlalchemy import text
from services.kernel.db.engine import Database

db = Database.open(sys.argv[1])
lock = threading.Lock()

def stream(thread):
    for number in range(1_000_000):
        value = number * 4 + thread
        db.transact(lambda tx: tx.execute(text("INSERT INTO t VALUES (:a)"), {"a": value}))
        with lock:
            print(value, flush=True)

for thread in range(4):
    threading.Thread(target=stream, args=(thread,)).start()
"""


@pytest.fixture
def database(sqlite_url: str, open_database: Callable[..., Database]) -> Database:
    db = open_database(sqlite_url)
    db.transact(lambda tx: tx.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")))
    return db


def put(number: int) -> Callable[[Connection], int]:
    def run(tx: Connection) -> int:
        tx.execute(text("INSERT INTO t VALUES (:a)"), {"a": number})
        return number

    return run


def numbers(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT a FROM t ORDER BY a")).scalars())


def held(db: Database, pool: ThreadPoolExecutor) -> threading.Event:
    """Keep the writer busy until the event is set, so that what follows queues up."""
    started, release = threading.Event(), threading.Event()

    def wait(tx: Connection) -> None:
        started.set()
        release.wait(10)

    pool.submit(db.transact, wait)
    assert started.wait(10)
    return release


def wait_for_queue(db: Database, length: int) -> None:
    assert isinstance(db, SqliteDatabase)
    while db._writer._queue.qsize() < length:
        time.sleep(0.001)


def test_concurrent_requests_share_commits(database: Database):
    before = database.stats()
    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(lambda n: database.transact(put(n)), range(320))) == list(range(320))
    after = database.stats()
    assert after.requests - before.requests == 320
    assert after.commits - before.commits < 160
    assert database.read(numbers) == list(range(320))


def test_requests_that_queued_up_go_in_one_commit_of_at_most_sixteen(database: Database):
    with ThreadPoolExecutor(32) as pool:
        release = held(database, pool)
        before = database.stats().commits
        futures = [pool.submit(database.transact, put(n)) for n in range(31)]
        wait_for_queue(database, 31)
        release.set()
        for future in futures:
            future.result()
    # 1 + 15, then 16: the request that held the writer is part of the first group.
    assert database.stats().commits - before == 2


def test_a_failing_request_of_a_group_is_rolled_back_alone(database: Database):
    database.transact(put(5))
    with ThreadPoolExecutor(16) as pool:
        release = held(database, pool)
        before = database.stats().commits
        futures = {n: pool.submit(database.transact, put(n)) for n in range(10)}
        wait_for_queue(database, 10)
        release.set()
        with pytest.raises(IntegrityError):
            futures.pop(5).result()
        assert [future.result() for future in futures.values()] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert database.stats().commits - before == 1
    assert database.read(numbers) == list(range(10))


def test_no_request_succeeds_when_the_commit_fails(database: Database):
    def break_commit(tx: Connection) -> None:
        # A deferred foreign key is checked by COMMIT itself.
        tx.execute(text("CREATE TABLE p (id INTEGER PRIMARY KEY)"))
        tx.execute(text("CREATE TABLE c (p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)"))
        tx.execute(text("INSERT INTO c VALUES (1)"))

    with ThreadPoolExecutor(8) as pool:
        release = held(database, pool)
        innocent = [pool.submit(database.transact, put(n)) for n in range(3)]
        guilty = pool.submit(database.transact, break_commit)
        wait_for_queue(database, 4)
        release.set()
        with pytest.raises(Unavailable):
            guilty.result()
        for future in innocent:
            with pytest.raises(Unavailable):
                future.result()
    assert database.read(numbers) == []
    assert database.transact(put(1)) == 1


def test_a_request_that_ends_the_transaction_fails_its_whole_group(database: Database):
    def end_it(tx: Connection) -> None:
        tx.exec_driver_sql("ROLLBACK")
        raise KeyError

    with ThreadPoolExecutor(8) as pool:
        release = held(database, pool)
        innocent = pool.submit(database.transact, put(1))
        wait_for_queue(database, 1)
        guilty = pool.submit(database.transact, end_it)
        wait_for_queue(database, 2)
        release.set()
        with pytest.raises(Unavailable):
            innocent.result()
        with pytest.raises(KeyError):
            guilty.result()
    assert database.read(numbers) == []


def test_two_processes_write_the_same_file(sqlite_url: str, open_database):
    one, two = open_database(sqlite_url), open_database(sqlite_url)
    one.transact(lambda tx: tx.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY)")))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: (one, two)[n % 2].transact(put(n)), range(200)))
    assert one.read(numbers) == two.read(numbers) == list(range(200))


def test_kill_loses_no_acknowledged_row(tmp_path: Path, database: Database, sqlite_url: str):
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, sqlite_url], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(200)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    stored = set(database.read(numbers))
    assert len(acknowledged) >= 200
    assert stored.issuperset(acknowledged)
    assert database.transact(put(10**9)) == 10**9


def test_the_data_version_changes_with_a_commit_of_anybody(sqlite_url: str, open_database):
    one, two = open_database(sqlite_url), open_database(sqlite_url)
    seen = [one.data_version(), one.data_version()]
    one.transact(lambda tx: tx.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY)")))
    seen.append(one.data_version())
    two.transact(put(1))
    seen.append(one.data_version())
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_a_row_found_before_is_answered_without_a_statement(database: Database):
    database.transact(put(7))
    by_number = select(column("a", Integer)).select_from(table("t"))
    lookup = database.prepare(by_number.where(column("a") == bindparam("a", type_=Integer)))
    with database.statements() as statements:
        found = [database.first(lookup, {"a": 7}) for _ in range(3)]
    assert found == [[7]] * 3
    assert statements == [lookup.text]


def test_a_commit_of_another_process_is_seen_by_the_next_lookup(
    sqlite_url: str, open_database: Callable[..., Database], database: Database
):
    lookup = database.prepare(select(func.count()).select_from(table("t")))
    other = open_database(sqlite_url)
    for number in range(3):
        assert [database.first(lookup, {}) for _ in range(2)] == [[number]] * 2
        other.transact(put(number))


def test_what_is_not_there_is_not_remembered(database: Database):
    by_number = select(column("a", Integer)).select_from(table("t"))
    lookup = database.prepare(by_number.where(column("a") == bindparam("a", type_=Integer)))
    with database.statements() as statements:
        assert [database.first(lookup, {"a": 1}) for _ in range(2)] == [None, None]
    assert len(statements) == 2


def test_the_file_and_its_journals_are_private(tmp_path: Path, database: Database):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"test.db": 0o600, "test.db-wal": 0o600, "test.db-shm": 0o600}


def test_durability_is_that_of_full_synchronisation(database: Database):
    def pragmas(connection: Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "mmap_size")
        return {n: connection.exec_driver_sql(f"PRAGMA {n}").scalar_one() for n in names}

    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "mmap_size": 2**28}
    assert database.transact(pragmas) == expected
    assert database.read(pragmas) == expected
