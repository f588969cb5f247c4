"""Decisions that were made, kept as long as they can be explained."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete

from services.authz.domain.audit import Event, Outcome
from services.authz.domain.decisions import MadeDecision
from services.authz.store.tables import DECISIONS
from services.authz.usecases.bootstrap import Seed, seed
from services.policy.model import Plane

NOW = datetime.now(UTC)
MADE = MadeDecision(
    id="d1",
    subject="tenants/t/users/ann",
    action="Microsoft.Compute/galleries/read",
    resource="subscriptions/s",
    plane=Plane.CONTROL,
    context={"a": "b"},
    allowed=False,
    reason="NO_MATCHING_GRANT",
    epoch=1,
    revision=7,
    time=NOW,
)


def test_a_decision_is_found_by_its_id(stores):
    stores.decisions.record([MADE, replace(MADE, id="d2", plane=Plane.DATA)])
    # At once, and once it was written.
    assert stores.decisions.find("d1") == MADE
    stores.decisions.close()
    assert stores.decisions.find("d1") == MADE
    found = stores.decisions.find("d2")
    assert found is not None
    assert found.plane is Plane.DATA
    assert stores.decisions.find("d3") is None


def test_a_decision_is_kept_as_long_as_the_log(stores):
    old = replace(MADE, id="old", time=NOW - timedelta(hours=2))
    stores.decisions.record([MADE, old])
    stores.decisions.close()
    stores.upkeep.forget(timedelta(hours=1))
    assert stores.decisions.find("old") is None
    assert stores.decisions.find("d1") == MADE


def test_a_decision_that_a_service_told_of_is_found_too(stores):
    seed(stores.policy, Seed("t", "s", "ann"))
    event = Event(
        event_time=NOW,
        workload="catalog",
        method="create",
        resource="subscriptions/s",
        outcome=Outcome.DONE,
        caller="tenants/t/users/Ann",
        action="Microsoft.Compute/galleries/write",
        reason="ROLE_ASSIGNMENT",
        decision_id="told",
        revision=1,
    )
    service = replace(event, caller="", decision_id="own")
    nothing = replace(event, decision_id="")
    stores.audit.append([event, service, nothing], workload="catalog", request_id="r", digest=b"")
    found = stores.decisions.find("told")
    assert found is not None
    assert (found.subject, found.allowed, found.revision) == ("tenants/t/users/ann", True, 1)
    assert (found.epoch, found.time, found.reason) == (1, NOW, "ROLE_ASSIGNMENT")
    assert stores.decisions.find("own") is None
    assert stores.decisions.find("") is None


def test_nobody_waits_for_a_decision_to_be_written(stores):
    locked, go_on = threading.Event(), threading.Event()

    def hold(tx):
        tx.execute(delete(DECISIONS))
        locked.set()
        assert go_on.wait(30)

    holder = threading.Thread(target=lambda: stores.db.transact(hold))
    holder.start()
    assert locked.wait(30)
    for number in range(3):
        made = replace(MADE, id=f"w{number}")
        stores.decisions.record([made])
        assert stores.decisions.find(made.id) == made
    go_on.set()
    holder.join()
    stores.decisions.close()
    assert stores.decisions.find("w2") == replace(MADE, id="w2")


def test_what_cannot_be_written_is_let_go(stores, caplog):
    stores.db.close()
    stores.decisions.record([MADE])
    stores.decisions.close()
    assert "1 decisions were not kept" in caplog.text
