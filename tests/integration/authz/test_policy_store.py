import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from services.authz.bootstrap.stores import stores_of
from services.authz.domain.records import Subscription, Tenant, Tombstone
from services.authz.ports.policy import Command, Page
from services.authz.store.schema import MIGRATIONS, REVISION
from services.authz.store.tables import AUDIT_RECORDS, METADATA, POLICY_LOG
from services.authz.usecases import directory
from services.authz.usecases.bootstrap import Seed, seed
from services.kernel.db.engine import Database
from services.kernel.db.migrations import newest_revision
from services.kernel.errors import InvalidArgument
from services.kernel.filter import Comparison, Op, Order
from services.policy.decision import Question
from services.policy.evaluation import evaluate

ROOT = Path(__file__).parents[3]


def create_tenant(stores, id: str, **more):
    command = Command(method="test", resource=f"tenants/{id}", caller_id="ann", **more)
    return stores.policy.write(
        command,
        lambda unit: directory.create_tenant(unit, f"tenants/{id}", id),
        lambda tenant: tenant.uid.encode(),
    )


def test_the_migrations_make_exactly_the_tables_of_the_program(stores):
    assert newest_revision(MIGRATIONS) == REVISION

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return compare_metadata(context, METADATA)

    found = stores.db.read(differences)
    assert [one for one in found if "alembic_version" not in str(one)] == []


def test_the_seed_is_written_into_an_empty_policy_once(stores):
    assert seed(stores.policy, Seed("t", "s", "ann"))
    assert not seed(stores.policy, Seed("other", "s2", "bob"))
    index = stores.head.current()
    assert index.revision == 1
    for scope in ("tenants/t", "subscriptions/s"):
        question = Question("Microsoft.Compute/galleries/write", scope)
        if scope.startswith("tenants"):
            question = Question("Stoa.Directory/users/write", scope)
        assert evaluate(index, "tenants/t/users/ann", question, now=datetime.now(UTC)).allowed
    operator = Question("Stoa.Directory/tenants/write", "/")
    assert evaluate(index, "tenants/t/users/ann", operator, now=datetime.now(UTC)).allowed
    gallery = Question("Microsoft.Compute/galleries/read", "/")
    assert not evaluate(index, "tenants/t/users/ann", gallery, now=datetime.now(UTC)).allowed


def test_two_that_seed_at_once_write_it_once(database_url, stores):
    with Database.open(database_url) as other, ThreadPoolExecutor(2) as pool:
        both = (stores.policy, stores_of(other).policy)
        written = list(pool.map(lambda one: seed(one, Seed("t", "s", "ann")), both))
    assert sorted(written) == [False, True]
    assert stores.policy.position().revision == 1


def test_writers_at_once_never_share_a_revision(database_url, stores):
    with Database.open(database_url) as other, ThreadPoolExecutor(8) as pool:
        both = (stores, stores_of(other))
        written = list(pool.map(lambda n: create_tenant(both[n % 2], f"t{n}"), range(24)))
    assert sorted(one.position.revision for one in written) == list(range(1, 25))
    records = stores.db.read(
        lambda c: c.execute(select(AUDIT_RECORDS.c.revision).order_by("revision")).scalars().all()
    )
    assert records == list(range(1, 25))


def test_another_process_sees_a_write_at_its_next_question(database_url, stores):
    with Database.open(database_url) as other:
        head = stores_of(other).head
        assert head.current().revision == 0
        create_tenant(stores, "t1")
        create_tenant(stores, "t2")
        assert set(head.current().directory.tenants) == {"tenants/t1", "tenants/t2"}
        assert head.at(2) is head.current()


def test_a_process_that_was_away_beyond_the_log_loads_everything(stores, database_url):
    with Database.open(database_url) as other:
        head = stores_of(other).head
        head.current()
        for n in range(3):
            create_tenant(stores, f"t{n}")
        stores.upkeep.forget(timedelta(seconds=-60))
        create_tenant(stores, "t3")
        assert len(head.current().directory.tenants) == 4


def test_a_repeat_of_a_request_id_writes_nothing(stores):
    first = create_tenant(stores, "t", request_id="r", digest=b"1")
    again = create_tenant(stores, "t", request_id="r", digest=b"1")
    assert again == first
    with pytest.raises(InvalidArgument, match="used before"):
        create_tenant(stores, "t", request_id="r", digest=b"2")


def test_what_fails_leaves_neither_rows_nor_log_nor_audit(stores):
    def fail(unit):
        directory.create_tenant(unit, "tenants/t", "t")
        raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        stores.policy.write(Command(method="test", resource="/"), fail, lambda _: b"")
    assert stores.policy.position().revision == 0
    assert stores.policy.read(lambda facts: facts.tenant("tenants/t")) is None
    assert stores.db.read(lambda c: c.execute(select(AUDIT_RECORDS.c.name)).first()) is None


def test_the_head_is_not_moved_by_a_write_that_changes_nothing(stores):
    command = Command(method="test", resource="/")
    written = stores.policy.write(command, lambda _: None, lambda _: b"same")
    assert (written.reply, written.position.revision) == (b"same", 0)


def test_pages_follow_one_another_in_any_order(stores):
    for n in range(7):
        create_tenant(stores, f"t{n}")

    def pages(*orders: Order):
        after, found = None, []
        while True:
            page = Page(limit=3, orders=orders, after=after)
            rows = stores.policy.read(lambda facts, page=page: facts.page(Tenant, page))
            found += [one.display_name for one, _ in rows]
            if len(rows) < 3:
                return found
            after = rows[-1][1]

    names = [f"t{n}" for n in range(7)]
    assert pages() == names
    assert pages(Order("display_name", descending=True)) == names[::-1]
    assert pages(Order("create_time", descending=True), Order("name")) == names[::-1]


def test_maps_are_filtered_by_key(stores):
    def write(unit):
        directory.create_tenant(unit, "tenants/t", "t")
        for n, tags in enumerate(({"a.b": "1"}, {'q"': "2"}, {})):
            new = directory.NewSubscription(f"subscriptions/s{n}", "s", "tenants/t", tags)
            directory.create_subscription(unit, new)

    stores.policy.write(Command(method="test", resource="/"), write, lambda _: b"")

    def found(key: str, op: Op, value: str) -> list[str]:
        page = Page(limit=9, filters=(Comparison("tags", op, value, key),))
        rows = stores.policy.read(lambda facts: facts.page(Subscription, page))
        return [one.name for one, _ in rows]

    assert found("a.b", Op.HAS, "") == ["subscriptions/s0"]
    assert found("a.b", Op.EQ, "1") == ["subscriptions/s0"]
    assert found("a.b", Op.NE, "1") == ["subscriptions/s1", "subscriptions/s2"]


def test_a_tombstone_is_found_by_its_uid(stores):
    made = Tombstone("0" * 32, "regions/r", 1, 0, datetime(2026, 1, 1, tzinfo=UTC))
    stores.policy.write(
        Command(method="test", resource="/"), lambda unit: unit.bury(made), lambda _: b""
    )
    assert stores.policy.read(lambda facts: facts.tombstone("0" * 32)) == made


def test_a_read_of_one_record_is_one_statement(stores):
    create_tenant(stores, "t")
    with stores.db.statements() as statements:
        stores.policy.read(lambda facts: facts.tenant("tenants/t"))
    assert len(statements) == 1
    with stores.db.statements() as statements:
        stores.policy.read(lambda facts: facts.page(Tenant, Page(limit=50)))
    assert len(statements) == 1


WRITER = """
import sys
from services.authz.bootstrap.stores import stores_of
from services.kernel.db.engine import Database
from tests.integration.authz.test_policy_store import create_tenant
stores = stores_of(Database.open(sys.argv[1]))
for n in range(10_000):
    print(create_tenant(stores, f"t{n}").position.revision, flush=True)
"""


def test_a_writer_killed_between_writes_loses_no_acknowledged_audit_record(stores, database_url):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, database_url],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(one) for one in re.findall(r"(\d+)\n", writer.stdout.read())]
    writer.wait()
    writer.stdout.close()
    head = stores.policy.position().revision
    assert head >= acknowledged[-1]
    log, _ = POLICY_LOG

    def written(connection):
        records = connection.execute(select(AUDIT_RECORDS.c.revision).order_by("revision"))
        entries = connection.execute(select(log.c.position).order_by(log.c.position))
        return records.scalars().all(), entries.scalars().all()

    records, entries = stores.db.read(written)
    assert records == entries == list(range(1, head + 1))
