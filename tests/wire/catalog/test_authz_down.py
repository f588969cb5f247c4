"""T18: what a catalog answers while authz is really gone, and that it goes on when it is back."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import grpc
import pytest
from stoa.authz.v1 import role_assignment_service_pb2
from stoa.type.v1 import method_policy_pb2

from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.action_tables import ALL
from tests.wire.catalog.actions import SERVICES, Operation, Scene, of_service
from tests.wire.catalog.installation import Catalog, Stubs, World, refused
from tests.wire.catalog.replication import Replication
from tests.wire.catalog.source_actions import GROUPS_OF_RESOURCES, OF_SOURCES

Code = grpc.StatusCode
READS: Final = {
    method.name
    for service in SERVICES
    for method in of_service(service).methods
    if method.GetOptions().Extensions[method_policy_pb2.policy].kind
    == method_policy_pb2.METHOD_KIND_READ
}
EVERY: Final = (*ALL, *GROUPS_OF_RESOURCES, *OF_SOURCES)


class HeldClock:
    """The time of the machine, until it is held; then it goes on when it is told to."""

    def __init__(self) -> None:
        self._behind = 0.0
        self._held: float | None = None
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        with self._lock:
            return time.monotonic() - self._behind if self._held is None else self._held

    def hold(self) -> None:
        self._held = self.monotonic()

    def advance(self, seconds: float) -> None:
        assert self._held is not None
        self._held += seconds

    def release(self) -> None:
        with self._lock:
            assert self._held is not None
            self._behind = time.monotonic() - self._held
            self._held = None


@pytest.fixture
def authz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    found = Installation(tmp_path_factory.mktemp("authz"))
    yield found
    found.close()


@pytest.fixture
def replication(authz: Installation) -> Iterator[Replication]:
    found = Replication(authz.layout)  # type: ignore[abstract] # what is left out is not called
    for region, name in (("eastus", "East US"), ("eastus2", "East US 2"), ("westus", "West US")):
        found.add_region(region, name)
    yield found
    found.close()


@pytest.fixture
def catalog(
    authz: Installation, replication: Replication, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    found = Catalog(authz, replication, tmp_path_factory.mktemp("catalog"), max_galleries=10_000)
    yield found
    found.close()


@pytest.fixture
def clock(catalog: Catalog) -> HeldClock:
    """What the lease is measured by."""
    clock, runtime = HeldClock(), catalog.runtime
    for holder in (runtime.replica, runtime._reporter):
        object.__setattr__(holder, "_clock", clock)
    return clock


class Outage:
    """Requests of everything that can be asked, made while authz was there, and who asks them."""

    def __init__(self, world: World, policy: Policy, clock: HeldClock) -> None:
        self.world = world
        self.clock = clock
        scene = Scene(world, policy)
        self.requests = [(one, one.request(scene)) for one in EVERY]
        self.owner = world.owner
        # Who may read everything of it, and change nothing.
        self.reader = scene.assigned("Reader")
        self.stranger = scene.assigned()

    def begin(self) -> None:
        """Stop authz while the catalog has just heard of it, and time with it."""
        catalog = self.world.catalog
        catalog.catch_up()
        _until(lambda: catalog.runtime.replica.age() < 1.0)
        self.clock.hold()
        catalog.authz.stop_serving()

    def end(self) -> None:
        self.world.catalog.authz.serve_again()
        self.clock.release()
        _until(lambda: self.world.catalog.runtime.replica.age() < 1.0)

    def codes(self, stubs: Stubs, *, reads: bool) -> dict[str, Code]:
        """Ask everything of a kind; answer the code of each answer."""
        return {
            str(one): _code(one, stubs, request)
            for one, request in self.requests
            if (one.method in READS) is reads
        }


def _code(operation: Operation, stubs: Stubs, request: Any) -> Code:
    try:
        operation.call(stubs, request)
    except grpc.RpcError as error:
        code: Code = error.code()
        return code
    return Code.OK


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come")


def all_are(codes: dict[str, Code], expected: Sequence[Code]) -> None:
    assert {what: code for what, code in codes.items() if code not in expected} == {}
    assert codes


def test_t18_without_authz_reads_outlive_it_for_the_lease_and_nothing_else_does(
    world: World, policy: Policy, clock: HeldClock
) -> None:
    outage = Outage(world, policy, clock)
    before = outage.codes(outage.reader, reads=True)
    all_are(before, [Code.OK])
    outage.begin()
    # Fresh, then asking for the head in vain.
    for seconds in (0.0, 2.5):
        clock.advance(seconds)
        all_are(outage.codes(outage.owner, reads=True), [Code.OK])
        all_are(outage.codes(outage.reader, reads=True), [Code.OK])
        all_are(outage.codes(outage.stranger, reads=True), [Code.PERMISSION_DENIED])
        for stubs in (outage.owner, outage.reader, outage.stranger):
            all_are(outage.codes(stubs, reads=False), [Code.UNAVAILABLE])
    # The lease is over.
    clock.advance(2.5)
    for stubs in (outage.owner, outage.reader, outage.stranger):
        for reads in (True, False):
            all_are(outage.codes(stubs, reads=reads), [Code.UNAVAILABLE])
    outage.end()
    all_are(outage.codes(outage.reader, reads=True), [Code.OK])
    all_are(outage.codes(outage.reader, reads=False), [Code.PERMISSION_DENIED])
    all_are(outage.codes(outage.stranger, reads=True), [Code.PERMISSION_DENIED])


def test_t18_a_refusal_to_decide_says_what_is_missing_and_when_to_come_back(
    world: World, policy: Policy, clock: HeldClock
) -> None:
    outage = Outage(world, policy, clock)
    outage.begin()
    clock.advance(5.0)
    for one, request in outage.requests:
        with refused(Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE") as found:
            one.call(outage.owner, request)
        assert found.info.metadata["service"] == "authz"
    outage.end()


def test_t18_what_was_taken_away_before_the_outage_stays_away_and_what_is_written_after_it_counts(
    world: World, policy: Policy, clock: HeldClock
) -> None:
    scene, user = Scene(world, policy), policy.user()
    held = policy.assign(user, "Reader", scene.subscription)
    world.catalog.catch_up()
    stubs = world.catalog.user(user.rpartition("/")[2])
    (read,) = [one for one in ALL if one.method == "GetGallery"]
    request = read.request(scene)
    assert _code(read, stubs, request) is Code.OK
    _take(policy, held.name)
    world.catalog.catch_up()
    outage = Outage(world, policy, clock)
    outage.begin()
    codes = []
    for seconds in (0.0, 2.5, 2.5):
        clock.advance(seconds)
        codes.append(_code(read, stubs, request))
    assert codes == [Code.PERMISSION_DENIED, Code.PERMISSION_DENIED, Code.UNAVAILABLE]
    outage.end()
    again = policy.assign(user, "Contributor", scene.subscription)
    world.catalog.catch_up()
    assert _code(read, stubs, request) is Code.OK
    world.gallery(scene.group)
    _take(policy, again.name)
    world.catalog.catch_up()
    assert _code(read, stubs, request) is Code.PERMISSION_DENIED


def _take(policy: Policy, assignment: str) -> None:
    policy.owner.assignments.DeleteRoleAssignment(
        role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=assignment)
    )
