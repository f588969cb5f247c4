"""What the events of a replication say about each of its regions."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.replication.v1.copy_state_pb2 import CopyProgress, CopyState, FailureCause
from stoa.replication.v1.replication_pb2 import RegionReplication
from stoa.replication.v1.replication_watch_pb2 import StateTransition, WatchReplicationResponse
from stoa.type.v1.replication_state_pb2 import RegionalReplicationState as State

from cli.output import human_bytes
from cli.transfer.progress import Line
from cli.verbs.words import spoken

_STATE_PREFIX: Final = "REGIONAL_REPLICATION_STATE_"
_OVER: Final = frozenset(
    {
        State.REGIONAL_REPLICATION_STATE_COMPLETED,
        State.REGIONAL_REPLICATION_STATE_FAILED,
        State.REGIONAL_REPLICATION_STATE_CANCELLED,
        State.REGIONAL_REPLICATION_STATE_REMOVED,
    }
)


@dataclass(slots=True)
class _Region:
    location: str
    began: float
    state: State.ValueType = State.REGIONAL_REPLICATION_STATE_PENDING
    wanted: int = 0
    good: int = 0
    progress: CopyProgress = field(default_factory=CopyProgress)
    # Bytes copied when we began to look: our own rate counts from there.
    copied_before: int | None = None
    # When the service began and ended the copy, by its clock.
    start: float | None = None
    end: float | None = None
    trouble: str = ""


class RegionBoard:
    """The regions of one replication, kept up to date by its events."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._regions: dict[str, _Region] = {}

    def apply(self, event: WatchReplicationResponse) -> list[Line]:
        """Take an event; answer the lines of the regions that it changed."""
        match event.WhichOneof("event"):
            case "snapshot":
                changed = self._snapshot(event.snapshot.replication.regions)
            case "transition":
                changed = self._transition(event.transition, seconds(event.event_time))
            case "progress":
                region = self._region(event.progress.location)
                self._take(region, event.progress.progress)
                changed = [region]
            case "end":
                for failure in event.end.failed_regions:
                    self._region(failure.location).trouble = _cause(failure.cause)
                changed = list(self._regions.values())
            case _:
                changed = []
        return [self._line(region) for region in changed]

    def _snapshot(self, found: Iterable[RegionReplication]) -> list[_Region]:
        changed = []
        for one in found:
            region = self._region(one.location)
            region.wanted, region.good = one.wanted_replica_count, one.good_replica_count
            region.state = one.state
            region.start = seconds(one.start_time) if one.HasField("start_time") else None
            region.end = seconds(one.end_time) if one.HasField("end_time") else None
            self._take(region, one.progress)
            region.trouble = _cause(one.cause) if one.HasField("cause") else ""
            changed.append(region)
        return changed

    def _transition(self, event: StateTransition, at: float) -> list[_Region]:
        if not event.location:
            return []
        region = self._region(event.location)
        if event.slot:
            # Of a replica only what stops it is worth a word.
            if event.copy_state in {CopyState.COPY_STATE_PAUSED, CopyState.COPY_STATE_FAILED}:
                region.trouble = _cause(event.cause)
                return [region]
            if region.trouble and event.copy_state == CopyState.COPY_STATE_COPYING:
                region.trouble = ""
                return [region]
            return []
        region.good = event.good_replica_count
        region.state = event.region_state
        if region.state == State.REGIONAL_REPLICATION_STATE_REPLICATING:
            region.start, region.end = region.start or at, None
        elif region.state in _OVER:
            region.end = at
        if event.HasField("progress"):
            self._take(region, event.progress)
        region.trouble = _cause(event.cause) if event.HasField("cause") else ""
        return [region]

    def _take(self, region: _Region, progress: CopyProgress) -> None:
        region.progress = progress
        if region.copied_before is None:
            region.copied_before = progress.bytes.copied_bytes

    def _region(self, location: str) -> _Region:
        if location not in self._regions:
            self._regions[location] = _Region(location, began=self._clock())
        return self._regions[location]

    def _line(self, region: _Region) -> Line:
        count = region.progress.bytes
        done = count.copied_bytes + count.deduplicated_bytes + count.zero_bytes
        rate = self._rate(region)
        remaining = None
        if region.progress.HasField("remaining_duration"):
            remaining = region.progress.remaining_duration.ToTimedelta().total_seconds()
        elif rate:
            remaining = max(count.total_bytes - done, 0) / rate
        return Line(
            label=region.location,
            state=spoken(State.Name(region.state).removeprefix(_STATE_PREFIX)),
            done=done,
            total=count.total_bytes,
            rate=rate,
            remaining=remaining,
            note=_note(region),
            finished=region.state in _OVER,
        )

    def _rate(self, region: _Region) -> float | None:
        """The service's rate, or else the mean of what was seen here."""
        if region.progress.HasField("bytes_per_second") and region.state not in _OVER:
            return float(region.progress.bytes_per_second)
        if region.start is not None and region.end is not None:
            elapsed, copied = region.end - region.start, region.progress.bytes.copied_bytes
        else:
            elapsed = self._clock() - region.began
            copied = region.progress.bytes.copied_bytes - (region.copied_before or 0)
        return copied / elapsed if elapsed > 0 and copied > 0 else None


def seconds(time: Timestamp) -> float:
    """A time of the service in seconds."""
    return time.seconds + time.nanos / 1e9


def _note(region: _Region) -> str:
    count = region.progress.bytes
    parts = []
    if region.wanted:
        parts.append(f"{region.good}/{region.wanted} replicas")
    for what, amount in (
        ("zero", count.zero_bytes),
        ("deduplicated", count.deduplicated_bytes),
        ("verified", count.verified_bytes),
        ("repaired", count.repaired_bytes),
    ):
        if amount:
            parts.append(f"{what} {human_bytes(amount)}")
    if region.trouble:
        parts.append(region.trouble)
    return ", ".join(parts)


def _cause(cause: FailureCause) -> str:
    return cause.status.message
