"""Two hundred replications of two tenants wait for one region."""

import pytest

from services.replication.domain.names import storage_id
from services.replication.domain.records import Version
from services.replication.domain.states import CopyState, ReplicationState
from tests.faults.invariants import assert_invariants
from tests.faults.workers import on_sqlite
from tests.integration.replication.test_claims import queue
from tests.integration.replication.world import World

MANY, FEW = 197, 3


def wanted(world: World, uid: str) -> Version:
    found = world.rows.read(lambda tx: tx.versions.get(uid))
    assert found is not None
    return found


@on_sqlite
@pytest.mark.timeout(240)
def test_all_of_both_tenants_end_whole_and_the_second_does_not_wait_for_the_first(
    world: World,
) -> None:
    world.add_region("home")
    queue(world, "a", MANY, "home")
    queue(world, "b", FEW, "home")
    uids = {
        tenant: [f"{tenant}{number:031x}" for number in range(count)]
        for tenant, count in (("a", MANY), ("b", FEW))
    }
    records = {uid: wanted(world, uid) for tenant in uids.values() for uid in tenant}
    with world.working():
        for uid, version in records.items():
            view = world.wait_end(version.replication, timeout=120.0)
            assert view.record.state is ReplicationState.COMPLETED, uid
    done = {uid: world.replica("home", uid=uid) for uid in records}
    assert {one.state for one in done.values()} == {CopyState.COMPLETED}
    # All of one tenant were wanted before any of the other.
    order = sorted(done, key=lambda uid: (done[uid].commit_time, uid))
    last = max(order.index(uid) for uid in uids["b"])
    assert last < MANY // 2
    for tenant, found in uids.items():
        assert records[found[0]].tenant == storage_id(tenant)
    assert_invariants(world, {uid: {"os": b"x" * 9} for uid in records})
