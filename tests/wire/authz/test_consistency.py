"""How fresh the policy behind a question is: every level, on every question (case 90)."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import pytest
from stoa.authz.v1 import (
    access_pb2,
    check_pb2,
    decision_pb2,
    explanation_pb2,
    simulation_pb2,
)
from stoa.authz.v1.consistency_pb2 import Consistency

from services.policy.consistency import ConsistencyToken, LogPosition
from tests.wire.authz.installation import refused

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"


def _item(scope):
    return decision_pb2.CheckItem(action=READ, resource=scope)


def _simulate(world, stubs, scope, at):
    change = simulation_pb2.ProposedChange(
        create_role_assignment=world.assignment(world.somebody, "Reader", scope)
    )
    return stubs.questions.SimulateChange(
        simulation_pb2.SimulateChangeRequest(changes=[change], consistency=at)
    )


#: Each asks somebody's own question about a scope, and answers at which revision it was answered.
QUESTIONS: dict[str, Callable[[Any, Any, str, Consistency], Any]] = {
    "Check": lambda _, stubs, scope, at: (
        stubs.questions.Check(
            check_pb2.CheckRequest(action=READ, resource=scope, consistency=at)
        ).decision
    ),
    "BatchCheck": lambda _, stubs, scope, at: stubs.questions.BatchCheck(
        check_pb2.BatchCheckRequest(items=[_item(scope)], consistency=at)
    ),
    "CheckAll": lambda _, stubs, scope, at: (
        stubs.questions.CheckAll(
            check_pb2.CheckAllRequest(items=[_item(scope)], consistency=at)
        ).decision
    ),
    "TestActions": lambda _, stubs, scope, at: stubs.questions.TestActions(
        check_pb2.TestActionsRequest(resource=scope, actions=[READ], consistency=at)
    ),
    "ListAccessible": lambda _, stubs, scope, at: stubs.questions.ListAccessible(
        access_pb2.ListAccessibleRequest(action=READ, parent=scope, consistency=at)
    ),
    "ListSubjects": lambda _, stubs, scope, at: stubs.questions.ListSubjects(
        access_pb2.ListSubjectsRequest(action=READ, resource=scope, consistency=at)
    ),
    "Explain": lambda _, stubs, scope, at: (
        stubs.questions.Explain(
            explanation_pb2.ExplainRequest(item=_item(scope), consistency=at)
        ).decision
    ),
    "SimulateChange": _simulate,
}


def test_every_question_is_here():
    from stoa.authz.v1 import authorization_service_pb2

    service = authorization_service_pb2.DESCRIPTOR.services_by_name["AuthorizationService"]
    assert set(QUESTIONS) == {method.name for method in service.methods}


class Asking(NamedTuple):
    """A question by its name: what it is answered by, for what it demands."""

    name: str
    asked: Callable[..., Any]

    def __call__(self, **demand: Any) -> Any:
        return self.asked(**demand)


@pytest.fixture(params=QUESTIONS)
def ask(request, world):
    world.somebody = world.user()
    scope = world.subscription()

    def asked(**demand):
        at = Consistency(**demand)
        return QUESTIONS[request.param](world, world.owner, scope, at).evaluated_at

    return Asking(request.param, asked)


def token(world, *, installation="", epoch=0, ahead=0):
    """The token of the newest revision, with something else about it."""
    stores = world.installation.stores
    head = stores.policy.position()
    position = LogPosition(head.epoch + epoch, head.revision + ahead)
    return ConsistencyToken(installation or stores.policy.installation(), position).encode()


def test_the_newest_revision_is_what_most_questions_are_answered_by(world, ask):
    for demand in (
        {},
        {"minimize_latency": True},
        {"fully_consistent": True},
        {"at_least_as_fresh": token(world)},
    ):
        assert ask(**demand) == token(world)
        world.user()


def test_an_exact_snapshot_is_that_of_its_token(world, ask):
    then = token(world)
    assert ask(at_exact_snapshot=then) == then
    world.user()
    if ask.name == "SimulateChange":
        # What is written now is written onto what is there now.
        with refused(Code.OUT_OF_RANGE, "SNAPSHOT_EXPIRED"):
            ask(at_exact_snapshot=then)
    else:
        assert ask(at_exact_snapshot=then) == then


@pytest.mark.parametrize("demand", ["at_least_as_fresh", "at_exact_snapshot"])
def test_a_token_of_elsewhere_forged_or_of_the_future_is_refused_at_once(world, ask, demand):
    good = token(world)
    for bad in (
        token(world, installation="another"),
        token(world, epoch=1),
        token(world, ahead=1),
        token(world, ahead=10**9),
        f"{good}A",
        "!",
        "AAAA",
        good.swapcase(),
    ):
        with refused(Code.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID"):
            ask(**{demand: bad})


def test_a_demand_that_is_set_is_true(ask):
    for demand in ("minimize_latency", "fully_consistent"):
        with refused(Code.INVALID_ARGUMENT):
            ask(**{demand: False})


def test_questions_are_answered_while_the_log_is_locked(world, ask):
    """Nothing waits for a revision that nobody has written yet."""
    if ask.name == "SimulateChange":
        return
    stores = world.installation.stores
    locked, go_on = threading.Event(), threading.Event()

    def hold(tx):
        stores.log.lock_head(tx)
        locked.set()
        assert go_on.wait(30)

    holder = threading.Thread(target=lambda: stores.db.transact(hold))
    holder.start()
    assert locked.wait(30)
    try:
        assert ask(minimize_latency=True)
    finally:
        go_on.set()
        holder.join()
