from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from services.authz.domain.records import RoleAssignment
from services.authz.ports.policy import Command
from services.authz.store.tables import AUDIT_RECORDS
from services.authz.usecases.bootstrap import Seed, seed
from services.authz.usecases.expiry import EVENT, purge_ended
from services.authz.workers.housekeeping import Housekeeping
from services.kernel.clock import FakeClock
from services.kernel.ids import new_uid
from services.policy.builtin_roles import READER
from services.policy.model import PrincipalKind

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def assigned(stores):
    """Assignments by when they ended, before `NOW`; None has no end."""
    seed(stores.policy, Seed("t", "s", "ann"))
    made: dict[timedelta | None, RoleAssignment] = {}

    def write(unit):
        for ago in (None, -DAY, DAY, 29 * DAY, 30 * DAY, 31 * DAY, 400 * DAY):
            end = None if ago is None else NOW - ago
            one = RoleAssignment(
                name=f"subscriptions/s/resourceGroups/{len(made)}/roleAssignments/{new_uid()}",
                scope=f"subscriptions/s/resourceGroups/{len(made)}",
                principal="tenants/t/users/ann",
                principal_kind=PrincipalKind.USER,
                role_definition=f"roleDefinitions/{READER.id}",
                uid=new_uid(),
                create_time=unit.now,
                end_time=end,
            )
            unit.put(one)
            made[ago] = one
        return b""

    stores.policy.write(Command("test", "subscriptions/s"), write, lambda answer: answer)
    return made


def left(stores, assigned):
    def read(facts):
        return {ago for ago, one in assigned.items() if facts.role_assignment(one.key)}

    return stores.policy.read(read)


def test_assignments_that_ended_thirty_days_ago_go_and_no_others(stores, assigned):
    assert purge_ended(stores.policy, NOW) == 3
    assert left(stores, assigned) == {None, -DAY, DAY, 29 * DAY}
    assert purge_ended(stores.policy, NOW) == 0


def test_those_that_ended_first_go_first(stores, assigned):
    assert purge_ended(stores.policy, NOW, most=1) == 1
    assert 400 * DAY not in left(stores, assigned)
    assert {30 * DAY, 31 * DAY} < left(stores, assigned)


def test_each_that_goes_is_told_to_replicas_and_to_the_audit_log(stores, assigned):
    before = stores.head.current()
    purge_ended(stores.policy, NOW)
    after = stores.head.current()
    assert after.revision == before.revision + 3

    def held(index):
        return {one for scopes in index.holders.values() for one in scopes}

    gone = {assigned[ago].scope_key for ago in (30 * DAY, 31 * DAY, 400 * DAY)}
    assert held(before) - held(after) == gone
    c = AUDIT_RECORDS.c
    statement = select(c.resource, c.chain, c.caller, c.workload).where(c.method == EVENT)
    rows = stores.db.read(lambda connection: connection.execute(statement).all())
    assert {row.resource for row in rows} == {
        assigned[ago].name for ago in (30 * DAY, 31 * DAY, 400 * DAY)
    }
    assert {tuple(row)[1:] for row in rows} == {("tenants/t", "", "authz")}


def test_housekeeping_does_it(stores, assigned):
    clock = FakeClock(NOW)
    Housekeeping(stores.upkeep, stores.policy, clock, retention=3600).once()
    assert left(stores, assigned) == {None, -DAY, DAY, 29 * DAY}


def test_the_ended_ones_are_found_by_their_index(stores, assigned):
    if stores.db.dialect != "sqlite":
        pytest.skip("the plan is read from SQLite")
    sql = (
        "EXPLAIN QUERY PLAN SELECT key FROM role_assignments "
        "WHERE end_time IS NOT NULL AND end_time <= 1 ORDER BY end_time LIMIT 500"
    )
    plan = stores.db.read(lambda connection: str(connection.exec_driver_sql(sql).all()))
    assert "ix_role_assignments_end_time" in plan
    assert "TEMP B-TREE" not in plan
