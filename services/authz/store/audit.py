"""The audit log in SQL: rows that are only ever added, each at the end of its chain."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from services.authz.domain.audit import NO_DIGEST, AuditRecord, Event, chained
from services.authz.domain.names import subscription_of
from services.authz.ports.audit import AuditPage
from services.authz.store import tables as t
from services.authz.store.lists import condition
from services.authz.store.records import SUBSCRIPTIONS, TENANTS
from services.authz.store.rows import Rows
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.db.listing import after, at_or_below
from services.kernel.db.tables import from_microseconds, to_microseconds
from services.kernel.errors import InvalidArgument
from services.kernel.filter import Comparison, Op
from services.kernel.names import ROOT, key
from services.kernel.paging import KeyValue

_EVENT: Final = tuple(Event.__dataclass_fields__)


class AuditLog:
    """Adds and lists audit records; see `AuditStore`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db: Final = db
        self._clock: Final = clock

    def append(
        self, events: Sequence[Event], *, workload: str, request_id: str, digest: bytes
    ) -> Sequence[str]:
        def run(tx: Connection) -> tuple[str, ...]:
            c = t.AUDIT_REQUESTS.c
            known = tx.execute(
                select(c.digest, c.names).where(
                    c.request_id == request_id.lower(), c.workload == workload
                )
            ).first()
            if known is not None:
                return _recorded(known.digest, known.names, digest)
            names = tuple(one.name for one in self.add(tx, events))
            # A second append with the id waits at the chain or here, and then fails: the
            # retry of its caller finds the first.
            tx.execute(
                insert(t.AUDIT_REQUESTS).values(
                    request_id=request_id.lower(), workload=workload, digest=digest, names=names
                )
            )
            return names

        return self._db.transact(run)

    def add(
        self, tx: Connection, events: Sequence[Event], *, tenant: str = ""
    ) -> list[AuditRecord]:
        """Add records in a transaction; the ends of their chains stay locked until it ends.

        `tenant` is the name of that whose log they are in where their resources do not say it.
        """
        now = self._clock.now()
        placed = [(event, *_place(tx, event.resource, tenant)) for event in events]
        ends = {chain: self._end(tx, chain) for chain in sorted({one[2] for one in placed})}
        added: list[AuditRecord] = []
        for event, home, chain in placed:
            sequence, previous = ends[chain]
            record = chained(
                event, home=home, chain=chain, sequence=sequence + 1, previous=previous, now=now
            )
            ends[chain] = (record.sequence, record.digest)
            tx.execute(insert(t.AUDIT_RECORDS).values(_row(record, home)))
            added.append(record)
        c = t.AUDIT_CHAINS.c
        for chain, (sequence, digest) in ends.items():
            tx.execute(
                update(t.AUDIT_CHAINS)
                .where(c.chain == chain)
                .values(sequence=sequence, digest=digest)
            )
        return added

    def page(self, page: AuditPage) -> Sequence[tuple[AuditRecord, tuple[KeyValue, ...]]]:
        c = t.AUDIT_RECORDS.c
        columns = [c.event_time, c.chain, c.sequence]
        statement = select(t.AUDIT_RECORDS)
        if page.chain:
            statement = statement.where(c.chain == page.chain)
        if page.home:
            statement = statement.where(c.home_key == page.home)
        for comparison in page.filters:
            statement = statement.where(_condition(comparison))
        if page.after is not None:
            time, chain, sequence = page.after
            last: list[Any] = [from_microseconds(int(time)), chain, sequence]
            directions = [page.descending] * 3
            statement = statement.where(after(columns, last, descending=directions))
        order = [one.desc() if page.descending else one for one in columns]
        statement = statement.order_by(*order).limit(page.limit)
        rows = self._db.read(lambda connection: connection.execute(statement).all())
        return [
            (_record(row), (to_microseconds(row.event_time), row.chain, row.sequence))
            for row in rows
        ]

    def _end(self, tx: Connection, chain: str) -> tuple[int, str]:
        c = t.AUDIT_CHAINS.c
        statement = select(c.sequence, c.digest).where(c.chain == chain).with_for_update()
        row = tx.execute(statement).first()
        if row is None:
            tx.execute(insert(t.AUDIT_CHAINS).values(chain=chain, sequence=0, digest=NO_DIGEST))
            return 0, NO_DIGEST
        return row.sequence, row.digest


def _recorded(known: bytes, names: tuple[str, ...], digest: bytes) -> tuple[str, ...]:
    if known != digest:
        raise InvalidArgument.of(
            "request_id",
            "the request id was used before with other records",
            reason="REQUEST_ID_REUSED",
        )
    return names


def _place(tx: Connection, resource: str, known: str) -> tuple[str, str]:
    """Answer what a record about a resource is named below, and the chain that it is in."""
    if known:
        return known, key(known)
    subscription_key = subscription_of(resource)
    if subscription_key is not None:
        subscription = Rows(tx, SUBSCRIPTIONS).get(subscription_key)
        if subscription is not None:
            return subscription.name, key(subscription.tenant)
    parts = key(resource).split("/")
    if parts[0] == "tenants" and len(parts) > 1:
        tenant = Rows(tx, TENANTS).get("/".join(parts[:2]))
        if tenant is not None:
            return tenant.name, tenant.key
    return ROOT, ROOT


def _condition(comparison: Comparison) -> Any:
    if comparison.field == "resource":
        folded = key(str(comparison.value))
        column = t.AUDIT_RECORDS.c.resource_key
        if comparison.op is Op.HAS:
            return at_or_below(column, folded)
        return condition(t.AUDIT_RECORDS, Comparison("resource_key", comparison.op, folded))
    return condition(t.AUDIT_RECORDS, comparison)


def _row(record: AuditRecord, home: str) -> dict[str, Any]:
    event = record.event
    return {name: getattr(event, name) for name in _EVENT} | {
        "chain": record.chain,
        "sequence": record.sequence,
        "home_key": key(home),
        "resource_key": key(event.resource),
        "name": record.name,
        "create_time": record.create_time,
        "previous_digest": record.previous_digest,
        "digest": record.digest,
    }


def _record(row: Any) -> AuditRecord:
    event = Event(**{name: getattr(row, name) for name in _EVENT})
    create_time: datetime = row.create_time
    return AuditRecord(
        row.name,
        event,
        row.chain,
        row.sequence,
        row.previous_digest,
        row.digest,
        create_time,
    )
