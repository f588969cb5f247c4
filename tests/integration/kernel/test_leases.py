import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.kernel.clock import FakeClock
from services.kernel.db.leases import HeldLease, Lease, Leases, run_under_lease
from services.kernel.errors import Aborted
from services.kernel.stopping import Stop


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def leases(kernel, clock) -> Leases:
    return Leases(kernel.db, kernel.leases, clock)


def test_one_owner_holds_a_duty_at_a_time(leases, clock):
    assert leases.acquire("drain", "a", 10) == Lease("drain", "a", 1)
    assert leases.acquire("drain", "b", 10) is None
    assert leases.acquire("sweep", "b", 10) == Lease("sweep", "b", 1)
    clock.advance(10)
    assert leases.acquire("drain", "b", 10) == Lease("drain", "b", 2)


def test_many_claims_at_once_have_one_winner(kernel, leases):
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: leases.acquire("drain", f"o{n}", 10), range(8)))
    assert len([claim for claim in claims if claim]) == 1


def test_a_renewed_lease_lasts_longer(leases, clock):
    lease = leases.acquire("drain", "a", 10)
    clock.advance(9)
    assert leases.renew(lease, 10)
    clock.advance(9)
    assert leases.acquire("drain", "b", 10) is None


def test_a_lease_that_passed_on_is_neither_renewed_nor_released(leases, clock):
    old = leases.acquire("drain", "a", 10)
    clock.advance(10)
    new = leases.acquire("drain", "b", 10)
    assert not leases.renew(old, 10)
    assert not leases.release(old)
    assert leases.renew(new, 10)


def test_a_released_duty_is_claimed_at_once_and_its_fence_grows(leases):
    assert leases.release(leases.acquire("drain", "a", 10))
    assert leases.acquire("drain", "b", 10) == Lease("drain", "b", 2)


def test_a_claim_anew_by_the_same_owner_fences_off_the_old_one(kernel, leases):
    old = leases.acquire("drain", "a", 10)
    new = leases.acquire("drain", "a", 10)
    kernel.db.transact(lambda tx: leases.require(tx, new))
    with pytest.raises(Aborted):
        kernel.db.transact(lambda tx: leases.require(tx, old))
    assert not leases.renew(old, 10)


def test_without_a_clock_time_is_that_of_the_database(kernel):
    leases = Leases(kernel.db, kernel.leases)
    assert leases.acquire("drain", "a", 3600) is not None
    assert leases.acquire("drain", "b", 3600) is None
    assert leases.acquire("past", "a", 0) is not None
    assert leases.acquire("past", "b", 3600) is not None


def test_a_duty_runs_in_one_process_and_passes_on_at_its_end(kernel):
    leases = Leases(kernel.db, kernel.leases)
    stops = {"a": Stop(), "b": Stop()}
    running: list[str] = []
    began = threading.Semaphore(0)

    def duty(held: HeldLease) -> None:
        running.append(held.lease.owner)
        began.release()
        held.stop.wait(20)

    threads = [
        threading.Thread(
            target=run_under_lease,
            args=(leases, "drain", duty),
            kwargs={"owner": owner, "stop": stop, "ttl": 0.3},
        )
        for owner, stop in stops.items()
    ]
    for thread in threads:
        thread.start()
    assert began.acquire(timeout=10)
    first = running[0]
    stops[first].set()
    assert began.acquire(timeout=10)
    for stop in stops.values():
        stop.set()
    for thread in threads:
        thread.join(10)
    assert running == [first, "b" if first == "a" else "a"]


def test_a_duty_is_stopped_when_another_process_took_it(kernel):
    clock = FakeClock()
    leases = Leases(kernel.db, kernel.leases, clock)
    stop, began, ended = Stop(), threading.Event(), threading.Event()

    def duty(held: HeldLease) -> None:
        began.set()
        held.stop.wait(20)
        if not stop.is_set():
            ended.set()

    thread = threading.Thread(
        target=run_under_lease,
        args=(leases, "drain", duty),
        kwargs={"owner": "a", "stop": stop, "ttl": 0.3},
    )
    thread.start()
    assert began.wait(10)
    clock.advance(60)
    # The renewals run all the while, so the claim may need another try.
    while leases.acquire("drain", "b", 3600) is None:
        clock.advance(60)
    assert ended.wait(10)
    stop.set()
    thread.join(10)
    assert leases.acquire("drain", "c", 3600) is None


def test_a_duty_that_fails_is_begun_again(kernel, caplog):
    leases = Leases(kernel.db, kernel.leases)
    stop = Stop()
    runs: list[int] = []

    def duty(held: HeldLease) -> None:
        runs.append(held.lease.fence)
        if len(runs) < 3:
            raise RuntimeError("broken")
        stop.set()

    run_under_lease(leases, "drain", duty, owner="a", stop=stop, ttl=0.3)
    assert runs == [1, 2, 3]
    assert caplog.text.count("the duty drain failed") == 2
