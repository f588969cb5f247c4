"""Threat T30: a write without its record, and a record that was changed."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from cli.audit_log import AuditChain, digest_of
from services.authz.convert import audit as convert
from services.authz.domain.audit import Event, Outcome
from services.authz.ports.audit import AuditPage
from services.authz.ports.policy import Command
from services.authz.store import tables as t
from services.authz.usecases import directory
from services.kernel.clock import SystemClock

ROOT = Path(__file__).parents[3]
NOTHING = {"facts": [0, 0, 0, 0], "audit": 0, "revision": 0, "replies": 0}
EVERYTHING = {"facts": [1, 2, 1, 1], "audit": 1, "revision": 1, "replies": 1}


def test_t30_a_process_killed_between_two_statements_leaves_no_write_without_its_record(
    database_url, stores
):
    ran = subprocess.run(
        [sys.executable, "-m", "tests.integration.authz.killed_writer", database_url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    seen = [json.loads(line) for line in ran.stdout.splitlines()]
    died = [one.pop("died") for one in seen]
    # Killed at every place but in the last run, which is done.
    assert died == [True] * (len(seen) - 1) + [False]
    assert len(seen) > 15
    assert seen[-1] == EVERYTHING
    for left in seen[:-1]:
        assert left == NOTHING


@pytest.fixture
def written(stores):
    """A log of a tenant with some records, one of them told by another service."""
    for name in ("tenants/t", "tenants/u"):
        stores.policy.write(
            Command("create", name),
            lambda unit, name=name: directory.create_tenant(unit, name, name),
            lambda _: b"",
        )
    details = {"eula": "https://example.org", "count": 5, "deep": [{"ratio": 0.5, "yes": True}]}
    told = Event(
        SystemClock().now(), "catalog", "terms.accepted", "tenants/t", Outcome.DONE, details=details
    )
    stores.audit.append([told] * 6, workload="catalog", request_id="1", digest=b"")
    return stores


def chain_of(stores, tenant="tenants/t"):
    chain = AuditChain()
    page = AuditPage(limit=1000, chain=tenant)
    chain.take(convert.record(record) for record, _ in stores.audit.page(page))
    return chain


def change(stores, sequence, **values):
    c = t.AUDIT_RECORDS.c
    statement = update(t.AUDIT_RECORDS).where(c.chain == "tenants/t", c.sequence == sequence)
    stores.db.transact(lambda tx: tx.execute(statement.values(**values)))


def take_out(stores, sequence):
    c = t.AUDIT_RECORDS.c
    statement = delete(t.AUDIT_RECORDS).where(c.chain == "tenants/t", c.sequence == sequence)
    stores.db.transact(lambda tx: tx.execute(statement))


def test_an_untouched_log_proves_itself(written):
    for tenant, records in (("tenants/t", 7), ("tenants/u", 1)):
        chain = chain_of(written, tenant)
        assert len(chain) == records
        assert list(chain.problems()) == []
    sequence, digest = chain_of(written).newest
    c = t.AUDIT_CHAINS.c
    statement = select(c.sequence, c.digest).where(c.chain == "tenants/t")
    assert written.db.read(lambda one: tuple(one.execute(statement).one())) == (sequence, digest)


@pytest.mark.parametrize(
    "values",
    [
        {"caller": "tenants/t/users/somebody-else"},
        {"outcome": Outcome.DENIED},
        {"details": {}},
        {"details": {"count": 6}},
        {"resource": "tenants/u"},
        {"event_time": datetime(2026, 1, 1, tzinfo=UTC)},
        {"method": "nothing.happened"},
        {"revision": 9},
    ],
    ids=lambda values: "-".join(map(str, next(iter(values.items())))),
)
def test_t30_a_changed_record_is_found(written, values):
    change(written, 3, **values)
    assert list(chain_of(written).problems()) == ["record 3 is not what was recorded"]


def test_t30_a_record_changed_with_its_digest_breaks_the_next(written):
    record = next(
        convert.record(one)
        for one, _ in written.audit.page(AuditPage(limit=10, chain="tenants/t"))
        if one.sequence == 3
    )
    record.caller = "tenants/t/users/somebody-else"
    change(written, 3, caller=record.caller, digest=digest_of(record))
    assert list(chain_of(written).problems()) == ["record 4 does not follow the one before it"]


def test_t30_a_record_that_was_taken_out_is_found(written):
    known = chain_of(written).newest
    take_out(written, 3)
    assert list(chain_of(written).problems()) == ["record 3 is missing"]
    take_out(written, 7)
    assert list(chain_of(written).problems(known)) == [
        "record 3 is missing",
        "record 7 is not the one that was known",
    ]


def test_the_end_that_was_cut_off_shows_by_what_was_known_and_by_the_next_record(written):
    known = chain_of(written).newest
    take_out(written, 7)
    assert list(chain_of(written).problems()) == []
    assert list(chain_of(written).problems(known)) == ["record 7 is not the one that was known"]
    written.policy.write(
        Command("create", "tenants/t"),
        lambda unit: directory.create_tenant(unit, "tenants/v", "v"),
        lambda _: b"",
    )
    assert list(chain_of(written).problems()) == ["record 7 is missing"]
