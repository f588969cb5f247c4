"""Every schedule of feed, head and lease: what decides, and that nothing fails open."""

import random
import threading
import time

import pytest

from services.kernel.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from services.kernel.rpc.access import AccessControl, Caller, Kind
from services.policy.access import LocalAccess, RemoteAccess
from services.policy.consistency import LogPosition
from services.policy.model import Kind as Entity
from services.policy.model import Removed
from tests.unit.policy.feeds import System
from tests.unit.policy.worlds import (
    BOB,
    COMMUNITY_READ,
    CONSUMER,
    FOREIGN,
    GALLERY,
    OTHER_TENANT,
    READ,
    SUBSCRIPTION,
    VERSION,
    WRITE,
    assign,
    grant,
    role,
    user,
)

ROLE = role("*")
HELD = assign("r1", GALLERY)
REVOKE = Removed(Entity.ROLE_ASSIGNMENT, HELD.name)
READS = [Kind.READ, Kind.WAIT, Kind.STREAM]


def test_it_fulfils_the_port_of_the_kernel():
    control: AccessControl = System().control
    assert control.revision == 1


@pytest.mark.parametrize("kind", READS)
def test_reads_are_decided_here_while_the_replica_is_fresh(kind):
    system = System(ROLE, HELD)
    system.clock.advance(1.9)
    access = system.begin(kind)
    access.require(READ, VERSION)
    assert isinstance(access, LocalAccess)
    assert access.revision == 2
    assert (system.authz.heads, system.authz.checks) == (0, [])


def test_an_aging_replica_asks_for_the_head_and_decides_here_when_it_has_it():
    system = System(ROLE, HELD)
    system.clock.advance(2.0)
    access = system.begin(Kind.READ)
    access.require(READ, VERSION)
    assert isinstance(access, LocalAccess)
    assert (system.authz.heads, system.authz.checks) == (1, [])


def test_an_aging_replica_that_lacks_the_head_lets_authz_decide():
    system = System(ROLE, HELD)
    system.authz.write(REVOKE)
    system.clock.advance(2.0)
    access = system.begin(Kind.READ)
    assert isinstance(access, RemoteAccess)
    with pytest.raises(PermissionDenied):
        access.require(READ, VERSION)
    ((_, at_least),) = system.authz.checks
    assert at_least == system.authz.token()


def test_an_aging_replica_decides_here_while_authz_is_silent_until_the_lease_ends():
    system = System(ROLE, HELD)
    system.authz.reachable = False
    system.clock.advance(4.9)
    system.begin(Kind.READ).require(READ, VERSION)
    system.clock.advance(0.1)
    access = system.begin(Kind.READ)
    with pytest.raises(Unavailable):
        access.require(READ, VERSION)
    with pytest.raises(Unavailable):
        access.allowed(READ, VERSION)
    with pytest.raises(Unavailable):
        access.require_all([(READ, VERSION, "name")])


def test_a_lease_that_ends_while_authz_is_asked_has_ended():
    system = System(ROLE, HELD)
    system.authz.reachable = False
    system.authz.silent_for = 1.0
    system.clock.advance(4.5)
    with pytest.raises(Unavailable):
        system.begin(Kind.READ)


def test_t18_after_the_lease_authz_decides_every_read():
    system = System(ROLE, HELD)
    system.clock.advance(5.0)
    access = system.begin(Kind.READ)
    access.require(READ, VERSION)
    assert len(system.authz.checks) == 1
    system.authz.write(REVOKE)
    assert not access.allowed(READ, VERSION)
    assert access.revision == 3


def test_a_heartbeat_that_is_late_does_not_renew_the_lease():
    system = System(ROLE, HELD)
    for _ in range(6):
        system.clock.advance(1.0)
        system.feed.beat(late=5.0)
    assert isinstance(system.begin(Kind.READ), RemoteAccess)
    system.feed.beat()
    assert isinstance(system.begin(Kind.READ), LocalAccess)


def test_a_heartbeat_counts_once_what_came_before_it_is_applied():
    system = System(ROLE, HELD)
    system.authz.write(REVOKE)
    system.clock.advance(5.0)
    system.feed.beat()
    assert isinstance(system.begin(Kind.READ), RemoteAccess)
    system.feed.deliver()
    access = system.begin(Kind.READ)
    assert isinstance(access, LocalAccess)
    assert not access.allowed(READ, VERSION)


def test_a_clock_of_authz_that_is_minutes_off_does_not_matter():
    for skew in (-300, 300):
        system = System(ROLE, HELD)
        system.replica.connected()
        system.feed.beat(late=skew)
        system.clock.advance(1.0)
        system.feed.beat(late=skew)
        assert system.replica.age() == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("age", [0.0, 60.0])
def test_a_mutation_is_decided_here_at_a_head_asked_for_after_it_arrived(age):
    system = System(ROLE, HELD)
    system.clock.advance(age)
    access = system.begin(Kind.MUTATION)
    access.require(WRITE, VERSION)
    assert isinstance(access, LocalAccess)
    assert system.authz.heads == 1


def test_a_mutation_after_a_revocation_is_refused_though_the_feed_is_held_up():
    system = System(ROLE, HELD)
    system.authz.write(REVOKE)
    access = system.begin(Kind.MUTATION)
    assert isinstance(access, RemoteAccess)
    assert access.revision == 3
    with pytest.raises(PermissionDenied):
        access.require(WRITE, VERSION)


def test_a_mutation_waits_for_a_feed_that_comes_in_time():
    system = System(ROLE, HELD)
    system.authz.write(REVOKE)
    arrival = threading.Timer(0.005, system.feed.deliver)
    arrival.start()
    access = system.begin(Kind.MUTATION)
    arrival.join()
    assert isinstance(access, LocalAccess)
    assert access.revision == 3
    assert not access.allowed(WRITE, VERSION)


def test_a_mutation_fails_where_authz_does_not_answer_however_fresh_the_replica_is():
    system = System(ROLE, HELD)
    system.authz.reachable = False
    with pytest.raises(Unavailable) as raised:
        system.begin(Kind.MUTATION)
    assert raised.value.metadata == {"service": "authz"}
    assert raised.value.retry_after is not None


def test_a_mutation_never_uses_a_head_that_was_asked_for_before_it_arrived():
    system = System(ROLE, HELD)
    system.authz.before_head.clear()
    results = {}

    def call(name):
        results[name] = system.begin(Kind.MUTATION)

    early = threading.Thread(target=call, args=("early",))
    early.start()
    _until(lambda: system.authz.heads == 1)
    # The first call has read its head, and its answer is still on the way. What is
    # revoked and acknowledged now, a call that arrives now has to know.
    system.authz.write(REVOKE)
    late = [threading.Thread(target=call, args=(name,)) for name in ("late", "later", "latest")]
    for thread in late:
        thread.start()
    _until(lambda: system.control._head._next is not None)
    time.sleep(0.02)
    system.authz.before_head.set()
    for thread in (early, *late):
        thread.join()
    assert system.authz.heads == 2
    assert results["early"].revision == 2
    assert {results[name].revision for name in ("late", "later", "latest")} == {3}
    assert not any(results[name].allowed(WRITE, VERSION) for name in ("late", "later", "latest"))


def test_calls_that_wait_for_the_head_fail_together_when_it_does_not_come():
    system = System(ROLE, HELD)
    system.authz.before_head.clear()
    with pytest.raises(Unavailable):
        system.begin(Kind.MUTATION, within=0.01)
    system.authz.before_head.set()
    system.begin(Kind.MUTATION).require(WRITE, VERSION)


def test_a_token_raises_the_floor_of_a_read():
    system = System(ROLE, HELD)
    system.authz.write(REVOKE)
    token = system.authz.token()
    access = system.begin(Kind.READ, token=token)
    assert isinstance(access, RemoteAccess)
    assert not access.allowed(READ, VERSION)
    assert [at_least for _, at_least in system.authz.checks] == [token]
    system.feed.deliver()
    assert isinstance(system.begin(Kind.READ, token=token), LocalAccess)


@pytest.mark.parametrize("kind", [Kind.READ, Kind.MUTATION])
@pytest.mark.parametrize("token", ["x", "MTpoZXJlOjE6LTE", "é", "A" * 300, "MToxOjE6MQ=="])
def test_a_damaged_token_is_refused(kind, token):
    with pytest.raises(InvalidArgument) as raised:
        System(ROLE, HELD).begin(kind, token=token)
    assert raised.value.reason == "CONSISTENCY_TOKEN_INVALID"


def test_a_token_of_a_future_revision_is_refused_and_never_waited_for():
    system = System(ROLE, HELD)
    future = system.authz.token(LogPosition(1, 99))
    with pytest.raises(InvalidArgument):
        system.begin(Kind.MUTATION, token=future)
    system.clock.advance(2.0)
    with pytest.raises(InvalidArgument):
        system.begin(Kind.READ, token=future)


def test_a_token_of_another_epoch_or_installation_is_refused():
    system = System(ROLE, HELD)
    token = system.authz.token()
    system.authz.epoch = 2
    system.feed.snapshot()
    for kind in (Kind.READ, Kind.MUTATION):
        with pytest.raises(InvalidArgument, match=r"epoch|backup"):
            system.begin(kind, token=token)
    system.replica.installation = "elsewhere"
    with pytest.raises(InvalidArgument, match="installation"):
        system.begin(Kind.READ, token=system.authz.token())


def test_a_replica_of_an_older_epoch_decides_no_mutation():
    system = System(ROLE, HELD)
    system.authz.epoch = 2
    system.authz.log[-1:] = []
    access = system.begin(Kind.MUTATION)
    assert isinstance(access, RemoteAccess)
    assert not access.allowed(WRITE, VERSION)


def test_without_a_snapshot_nothing_is_decided():
    system = System()
    system.replica._index = None
    for kind in Kind:
        with pytest.raises(Unavailable):
            system.begin(kind)


def test_t17_content_of_a_newer_policy_is_never_judged_by_an_older_one():
    system = System(ROLE, HELD)
    access = system.begin(Kind.READ)
    row = system.authz.write(REVOKE).revision
    newer = system.control.at_least(access, Caller("alice", "t1"), row, 30.0)
    assert not newer.allowed(READ, VERSION)
    system.feed.deliver()
    newer = system.control.at_least(access, Caller("alice", "t1"), row, 30.0)
    assert isinstance(newer, LocalAccess)
    assert not newer.allowed(READ, VERSION)
    assert system.control.at_least(newer, Caller("alice", "t1"), row, 30.0) is newer


@pytest.mark.parametrize("seed", range(40))
def test_t17_no_schedule_lets_a_mutation_through_after_its_revocation(seed):
    """Random steps of feed, clock and writer; the right is given and taken at random."""
    chosen = random.Random(seed)
    system = System(ROLE, patience=0.0)
    held = False
    for _ in range(40):
        match chosen.randrange(6):
            case 0:
                held = not held
                system.authz.write(HELD if held else REVOKE)
            case 1:
                system.feed.deliver(system.control.revision + 1)
            case 2:
                system.clock.advance(chosen.random() * 3)
            case 3:
                system.feed.beat(late=chosen.random() * 3)
            case 4:
                if chosen.random() < 0.2:
                    system.feed.snapshot()
            case _:
                assert system.begin(Kind.MUTATION).allowed(WRITE, VERSION) is held
        # Reads may be behind, but by no more than the lease.
        if system.replica.age() >= 5.0:
            assert system.begin(Kind.READ).allowed(READ, VERSION) is held


def test_what_two_accesses_of_a_call_decide_is_of_one_revision():
    system = System(ROLE, HELD)
    access = system.begin(Kind.READ)
    system.authz.write(REVOKE)
    system.feed.deliver()
    assert access.allowed(READ, VERSION)
    assert access.revision == 2
    assert not system.begin(Kind.READ).allowed(READ, VERSION)


def test_t9_a_denial_says_what_was_asked_and_nothing_else():
    access = System(ROLE).begin(Kind.READ)
    spelled = VERSION.replace("golden", "Golden")
    with pytest.raises(PermissionDenied) as raised:
        access.require(READ, spelled)
    assert raised.value.message == (
        f"Permission '{READ}' denied on resource '{spelled}' (or it may not exist)."
    )
    assert raised.value.metadata == {"permission": READ, "resource": spelled}


@pytest.mark.parametrize("age", [0.0, 5.0])
def test_a_view_of_what_is_not_shared_does_not_exist(age):
    view = f"{CONSUMER}/locations/eastus/communityGalleries/pub-1"
    system = System(ROLE, assign("r1", CONSUMER))
    system.clock.advance(age)
    with pytest.raises(NotFound) as raised:
        system.begin(Kind.READ).require(COMMUNITY_READ, view)
    assert raised.value.metadata == {"resource": view}
    assert raised.value.resource is not None
    assert raised.value.resource.type == "stoa.dev/CommunityGallery"
    with pytest.raises(PermissionDenied):
        system.begin(Kind.READ, Caller("bob", "t1")).require(COMMUNITY_READ, view)


@pytest.mark.parametrize("age", [0.0, 5.0])
def test_a_conjunction_names_the_first_item_that_is_not_held(age):
    disk = f"{SUBSCRIPTION}/resourcegroups/rg/disks/d"
    system = System(ROLE, HELD)
    system.clock.advance(age)
    demands = [(WRITE, VERSION, "parent"), ("Microsoft.Compute/disks/write", disk, "disk")]
    with pytest.raises(PermissionDenied) as raised:
        system.begin(Kind.READ).require_all(demands)
    assert raised.value.metadata["resource"] == disk
    system.authz.write(assign("r1", disk))
    system.feed.deliver()
    system.begin(Kind.READ).require_all(demands)


@pytest.mark.parametrize("age", [0.0, 5.0])
def test_a_conjunction_over_two_tenants_needs_a_token_for_each(age):
    disk = f"{FOREIGN}/resourcegroups/rg/disks/d"
    demands = [(WRITE, VERSION, "parent"), ("Microsoft.Compute/disks/write", disk, "disk")]
    carol = user("carol", OTHER_TENANT)
    system = System(ROLE, HELD, assign("r1", disk, carol), assign("r1", disk))
    system.clock.advance(age)
    alone = Caller("alice", "t1")
    with pytest.raises(PermissionDenied) as refused:
        system.begin(Kind.READ, alone).require_all(demands)
    assert refused.value.reason == "LINKED_TENANT_TOKEN_MISSING"
    assert refused.value.metadata == {"tenant": OTHER_TENANT, "resource": disk}
    both = Caller("alice", "t1", auxiliary=(Caller("carol", "t2"),))
    access = system.begin(Kind.READ, both)
    access.require_all(demands)
    assert access.principals == ("tenants/t1/users/alice", "tenants/t2/users/carol")


@pytest.mark.parametrize("age", [0.0, 5.0])
def test_who_may_not_is_never_told_the_tenant_of_what_they_named(age):
    disk = f"{FOREIGN}/resourcegroups/rg/disks/d"
    demands = [(WRITE, VERSION, "parent"), ("Microsoft.Compute/disks/write", disk, "disk")]
    system = System(ROLE, HELD, assign("r1", disk, user("carol", OTHER_TENANT)))
    system.clock.advance(age)
    with pytest.raises(PermissionDenied) as refused:
        system.begin(Kind.READ, Caller("alice", "t1")).require_all(demands)
    assert refused.value.reason == "PERMISSION_DENIED"
    assert OTHER_TENANT not in str(refused.value.metadata)


@pytest.mark.parametrize("age", [0.0, 5.0])
def test_an_unknown_action_is_a_defect_and_never_allowed(age):
    system = System(ROLE, HELD)
    system.clock.advance(age)
    with pytest.raises(ValueError, match="known actions"):
        system.begin(Kind.READ).require("Microsoft.Compute/galleries/fly", GALLERY)


def test_an_empty_conjunction_is_a_defect_and_never_allowed():
    system = System(ROLE, HELD)
    for age in (0.0, 5.0):
        system.clock.advance(age)
        with pytest.raises(ValueError, match="nothing"):
            system.begin(Kind.READ).require_all([])


def test_a_list_is_made_of_what_a_fresh_replica_says_or_not_at_all():
    system = System(ROLE, HELD)
    assert system.begin(Kind.READ).accessible(READ).allowed == (GALLERY,)
    assert system.begin(Kind.READ).accessible(READ, CONSUMER).allowed == ()
    system.clock.advance(5.0)
    with pytest.raises(Unavailable):
        system.begin(Kind.READ).accessible(READ)


def test_a_workload_holds_nothing():
    system = System(ROLE, assign("r1", "/"))
    for age in (0.0, 5.0):
        system.clock.advance(age)
        assert not system.begin(Kind.READ, Caller(workload="catalog")).allowed(READ, VERSION)
    assert system.authz.checks == []


def test_what_was_found_is_told_to_the_observer():
    seen = []
    changes = (ROLE, assign("r1", GALLERY, BOB), grant(subscriptions={CONSUMER}))
    system = System(*changes, observe=lambda *both: seen.append(both))
    system.begin(Kind.READ).allowed(READ, VERSION)
    ((question, decision),) = seen
    assert (question.scope, decision.allowed, decision.revision) == (VERSION, False, 2)


def _until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.002)
    raise AssertionError("it did not happen")
