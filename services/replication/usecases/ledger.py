"""The one place that changes the state of a version's replicas.

Everything that follows from a change is written in its transaction: the row, the event with the
next sequence number, the region, the feed, and the end of the replication when nothing is left
to be done (replication.md 2.11).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.replication.domain.aggregate import aggregate_region, end_of
from services.replication.domain.events import (
    End,
    EventBody,
    Transition,
)
from services.replication.domain.progress import together
from services.replication.domain.records import (
    Replica,
    ReplicaDisk,
    ReplicationRecord,
    Version,
    VersionRegion,
)
from services.replication.domain.snapshots import ReplicationView, aggregate_all, view_of
from services.replication.domain.states import (
    UNFINISHED,
    CopyState,
    RegionState,
    ReplicationState,
)
from services.replication.ports.outside import OperationResults
from services.replication.ports.room import Holder
from services.replication.ports.rows import Tx
from services.replication.usecases.feed_news import FeedNews


class Ledger:
    """The changes of one transaction to one version, whose row is locked.

    Make changes, then call `finish` once. Nothing is written about a replication that has ended:
    its last event was its end.
    """

    def __init__(self, tx: Tx, version: Version, results: OperationResults) -> None:
        self.tx: Final = tx
        self.version = version
        self.now: Final[datetime] = tx.now()
        self._results: Final = results
        self.record: ReplicationRecord | None = (
            tx.replications.get(version.replication) if version.replication else None
        )
        self._known: Final = {one.location: one for one in tx.versions.regions(version.uid)}
        self._regions = dict(self._known)
        self._touched: dict[str, None] = {}
        self._bodies: list[EventBody] = []
        self._news: Final = FeedNews(tx, self.now)

    @property
    def is_open(self) -> bool:
        """Whether the newest replication has not ended."""
        return self.record is not None and self.record.is_open

    @property
    def regions(self) -> Sequence[VersionRegion]:
        """The regions of the version in their order."""
        return sorted(self._regions.values(), key=lambda one: (one.ordinal, one.location))

    def region(self, location: str) -> VersionRegion | None:
        """Answer a region of the version."""
        return self._regions.get(location)

    def targets(self, location: str) -> bool:
        """Whether the newest replication works on a region."""
        return self.record is not None and location in self.record.locations

    def open(self, record: ReplicationRecord) -> None:
        """Begin a replication; the one before has been ended."""
        self.tx.replications.insert(record)
        self.record = record
        self.version = replace(self.version, replication=record.id)
        self._note(Transition(replication_state=ReplicationState.OPEN))
        self._announce(record)

    def cancelling(self) -> None:
        """Record that all that is left of the replication is being cancelled."""
        record = self._open_record()
        self.record = replace(record, state=ReplicationState.CANCELLING)
        self._note(Transition(replication_state=ReplicationState.CANCELLING))
        self._announce(self.record)

    def put(self, replica: Replica, *disks: ReplicaDisk, event: bool = True) -> None:
        """Record a replica and disks of it; one event for the replica, one for each disk."""
        self.tx.replicas.put(replica)
        if replica.state not in UNFINISHED:
            self.tx.room.release(Holder(replica.location, replica.slot, replica.version))
        self._touched[replica.location] = None
        for disk in disks:
            self.tx.replicas.put_disk(disk)
        if event:
            self._note_replica(replica, disks)

    def put_disk(self, replica: Replica, disk: ReplicaDisk) -> None:
        """Record a new state of one disk, with its event."""
        self.tx.replicas.put_disk(disk)
        self._touched[replica.location] = None
        if self._is_told_of(replica):
            self._note(_of_disk(replica, disk))

    def put_region(self, region: VersionRegion) -> None:
        """Record what is wanted of a region; its state follows from its replicas."""
        self._regions[region.location] = region
        self._touched[region.location] = None

    def supersede(self, successor: str) -> None:
        """End the open replication in favour of another one."""
        regions = self._of_record(self._open_record())
        self._end(
            End(
                ReplicationState.SUPERSEDED,
                aggregate_all(regions),
                successor=successor,
                progress=together(one.progress for one in regions),
            )
        )
        self._flush()

    def finish(self) -> None:
        """Bring regions, replication and feed up to the changes, and write them."""
        for location in self._touched:
            self._settle(location)
        if self.record is not None and self.is_open:
            regions = self._of_record(self.record)
            progress = together(one.progress for one in regions)
            percent = self.record.progress.percent
            self.record = replace(
                self.record,
                aggregated=aggregate_all(regions),
                progress=progress.not_below(percent),
            )
            end = end_of(regions)
            if end is not None:
                self._end(end)
        self._flush()
        self.tx.versions.update(self.version)
        self._news.publish(self.version)

    def _settle(self, location: str) -> None:
        """Derive a region from its replicas; tell of it where followers see a difference."""
        wanted = self._regions.get(location)
        if wanted is None:
            return
        replicas = self.tx.replicas.of_region(self.version.uid, location)
        after = aggregate_region(wanted, replicas, self.now)
        self._regions[location] = after
        self.tx.versions.put_region(after)
        before = self._known.get(location)
        if before is not None and _visible(before) == _visible(after):
            return
        self._news.region(after)
        is_news = before is None or _marked(before) != _marked(after)
        if is_news and self.is_open and self.targets(location):
            self._note(
                Transition(
                    location=location,
                    region_state=after.state,
                    progress=after.progress,
                    cause=after.cause if after.state in _EXPLAINED else None,
                    good=after.good,
                )
            )

    def _note_replica(self, replica: Replica, disks: Sequence[ReplicaDisk]) -> None:
        if not self._is_told_of(replica):
            return
        for disk in disks:
            self._note(_of_disk(replica, disk))
        paused = replica.state is CopyState.PAUSED
        self._note(
            Transition(
                location=replica.location,
                slot=replica.slot,
                copy_state=replica.state,
                progress=replica.progress,
                attempt=replica.attempt,
                next_attempt_time=replica.due_time if paused else None,
                cause=replica.cause,
            )
        )

    def _is_told_of(self, replica: Replica) -> bool:
        return self.is_open and self.targets(replica.location)

    def _note(self, transition: Transition) -> None:
        self._bodies.append(EventBody(transition=transition))

    def _open_record(self) -> ReplicationRecord:
        if self.record is None or not self.record.is_open:
            raise RuntimeError("there is no open replication")
        return self.record

    def _of_record(self, record: ReplicationRecord) -> tuple[VersionRegion, ...]:
        found = (self._regions.get(location) for location in record.locations)
        return tuple(region for region in found if region is not None)

    def _end(self, end: End) -> None:
        """Record the end: the last event, and the whole as it is kept."""
        record = self._open_record()
        self._bodies.append(EventBody(end=end))
        self.record = ended = replace(
            record,
            state=end.state,
            aggregated=end.aggregated,
            successor=end.successor,
            progress=end.progress,
            end_time=self.now,
        )
        self._announce(ended, end)

    def _announce(self, record: ReplicationRecord, end: End | None = None) -> None:
        # The events of this transaction get their numbers later.
        numbered = replace(record, sequence=record.sequence + len(self._bodies))
        self._news.replication(self.version, numbered, end)

    def _flush(self) -> None:
        """Write the events so far, and the replication with their number."""
        record = self.record
        if record is None or not (record.is_open or self._bodies):
            return
        if not self._bodies:
            self.tx.replications.update(replace(record, update_time=self.now))
            return
        self.tx.replications.add_events(
            record.id, record.sequence + 1, self.now, tuple(self._bodies)
        )
        self.record = record = replace(
            record, sequence=record.sequence + len(self._bodies), update_time=self.now
        )
        self._bodies.clear()
        self.tx.replications.update(record)
        if not record.is_open:
            self._keep(record)

    def _keep(self, record: ReplicationRecord) -> None:
        uid = self.version.uid
        view = view_of(
            record,
            self._of_record(record),
            tuple(self.tx.replicas.of_version(uid)),
            tuple(self.tx.replicas.disks(uid)),
        )
        self.tx.replications.set_final(record.id, view)
        if record.operation:
            self._end_operation(record, view)

    def _end_operation(self, record: ReplicationRecord, view: ReplicationView) -> None:
        metadata = self._results.metadata(view)
        if record.state is ReplicationState.COMPLETED:
            response = self._results.response(view)
            self.tx.operations.succeed(record.operation, response, metadata)
        else:
            self.tx.operations.fail(record.operation, self._results.failure(view), metadata)


_EXPLAINED: Final = frozenset({RegionState.FAILED, RegionState.DEGRADED})


def _visible(region: VersionRegion) -> tuple[object, ...]:
    return (
        region.generation,
        region.replication,
        region.state,
        region.wanted,
        region.good,
        region.usable,
        region.cause,
    )


def _marked(region: VersionRegion) -> tuple[object, ...]:
    """Answer what an event of the replication tells of."""
    return region.replication, region.state, region.good


def _of_disk(replica: Replica, disk: ReplicaDisk) -> Transition:
    return Transition(
        location=replica.location,
        slot=replica.slot,
        disk=disk.disk,
        copy_state=disk.state,
        progress=disk.progress,
        attempt=replica.attempt,
        cause=disk.cause,
    )
