"""Replications and their events in the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from services.replication.domain.events import Event, EventBody
from services.replication.domain.records import ReplicationRecord
from services.replication.domain.snapshots import ReplicationView
from services.replication.ports.requests import Listing
from services.replication.store import tables
from services.replication.store.codec import decode, encode
from services.replication.store.records import Records

_RECORDS: Final = Records(tables.replications, ReplicationRecord)
_T: Final = tables.replications.c
_E: Final = tables.events.c
_MARKS: Final = select(_T.id, _T.sequence, _T.progress_revision)


class ReplicationTable:
    """Fulfils `ports.rows.ReplicationRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def get(self, replication: str) -> ReplicationRecord | None:
        """Answer a replication."""
        return _RECORDS.get(self._connection, replication)

    def of_operation(self, operation: str) -> ReplicationRecord | None:
        """Answer the replication that an operation waits for."""
        return _RECORDS.one(self._connection, _RECORDS.select.where(_T.operation == operation))

    def delivered(self, version: str, generation: int, delivery: str) -> ReplicationRecord | None:
        """Answer what a delivery has opened."""
        statement = _RECORDS.select.where(
            _T.version == version, _T.generation == generation, _T.delivery == delivery
        )
        return _RECORDS.one(self._connection, statement)

    def insert(self, record: ReplicationRecord) -> None:
        """Add a replication."""
        _RECORDS.insert(self._connection, record)

    def update(self, record: ReplicationRecord) -> None:
        """Replace a replication."""
        _RECORDS.update(self._connection, record)

    def set_final(self, replication: str, view: ReplicationView) -> None:
        """Keep the whole replication as it ended."""
        statement = update(tables.replications).where(_T.id == replication)
        self._connection.execute(statement.values(final=encode(view)))

    def final(self, replication: str) -> ReplicationView | None:
        """Answer the whole replication as it ended; None while it is open."""
        return self.finals([replication]).get(replication)

    def finals(self, ids: Sequence[str]) -> Mapping[str, ReplicationView]:
        """Answer replications as they ended, by id; those that are open are left out."""
        statement = select(_T.id, _T.final).where(_T.id.in_(ids), _T.final.is_not(None))
        rows = self._connection.execute(statement)
        return {row.id: decode(ReplicationView, row.final) for row in rows}

    def page(self, listing: Listing) -> Sequence[ReplicationRecord]:
        """Answer a page of replications."""
        return _RECORDS.page(self._connection, listing)

    def open_ones(self) -> Sequence[tuple[str, int, int]]:
        """Answer (id, sequence, progress revision) of all that are open."""
        rows = self._connection.execute(_MARKS.where(_T.end_time.is_(None)))
        return [(row.id, row.sequence, row.progress_revision) for row in rows]

    def marks(self, ids: Sequence[str]) -> Sequence[tuple[str, int, int]]:
        """Answer (id, sequence, progress revision) of these."""
        rows = self._connection.execute(_MARKS.where(_T.id.in_(ids)))
        return [(row.id, row.sequence, row.progress_revision) for row in rows]

    def feed_page(self, after: tuple[str, ...] | None, limit: int) -> Sequence[ReplicationRecord]:
        """Answer the newest replication of each version that is not withdrawn, by id."""
        v = tables.versions.c
        statement = (
            _RECORDS.select.join(tables.versions, v.replication == _T.id)
            .where(v.withdrawn.is_(False))
            .order_by(_T.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(_T.id > after[0])
        return _RECORDS.all(self._connection, statement)

    def add_events(
        self, replication: str, first: int, time: datetime, bodies: Sequence[EventBody]
    ) -> None:
        """Add events from sequence `first` on."""
        rows = [
            {
                "replication": replication,
                "sequence": sequence,
                "create_time": time,
                "payload": encode(body),
            }
            for sequence, body in enumerate(bodies, first)
        ]
        self._connection.execute(insert(tables.events), rows)

    def events_after(self, replication: str, sequence: int, limit: int) -> Sequence[Event]:
        """Answer events in their order."""
        statement = (
            select(tables.events)
            .where(_E.replication == replication, _E.sequence > sequence)
            .order_by(_E.sequence)
            .limit(limit)
        )
        return [
            Event(row.replication, row.sequence, row.create_time, decode(EventBody, row.payload))
            for row in self._connection.execute(statement)
        ]

    def forget_events(self, older_than: datetime, limit: int) -> int:
        """Compact the events of replications that ended that long ago; answer how many."""
        old = (
            select(_T.id)
            .where(_T.end_time < older_than, _T.horizon < _T.sequence)
            .order_by(_T.end_time)
            .limit(limit)
        )
        ids = list(self._connection.execute(old).scalars())
        if not ids:
            return 0
        gone = self._connection.execute(delete(tables.events).where(_E.replication.in_(ids)))
        self._connection.execute(
            update(tables.replications).where(_T.id.in_(ids)).values(horizon=_T.sequence)
        )
        return gone.rowcount
