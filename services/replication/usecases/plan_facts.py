"""The rows that a plan depends on, read at one moment."""

from collections.abc import Sequence
from typing import Final

from services.replication.domain.desired import DesiredReplicas
from services.replication.domain.records import Replica, ReplicaDisk, VersionDisk
from services.replication.ports.rows import Tx
from services.replication.usecases.room import limit_of
from services.replication.usecases.wanting import LEAVING

_MEASURED: Final = 10
"""How many of the newest copies into a region tell its rate."""


class Known:
    """The rows that a plan depends on, of one moment."""

    def __init__(self, tx: Tx, desired: DesiredReplicas) -> None:
        self.now: Final = tx.now()
        self.regions: Final = {one.id: one for one in tx.regions.all()}
        uid = desired.uid
        of_version = tx.replicas.of_version(uid) if uid else ()
        # Of a shallow replica there is nothing to copy from, and nothing to free.
        self._replicas: Final[Sequence[Replica]] = [one for one in of_version if not one.is_shallow]
        self._disks: Final[Sequence[ReplicaDisk]] = tx.replicas.disks(uid) if uid else ()
        contents: Sequence[VersionDisk] = tx.versions.disks(uid) if uid else ()
        self.roots: Final = {one.disk: one.root for one in contents}
        order = [desired.home, *(one.location for one in desired.regions)]
        self.readable: Final = sorted(
            (one for one in self._replicas if one.is_readable),
            key=lambda one: (
                not one.is_good,
                order.index(one.location) if one.location in order else len(order),
            ),
        )
        self.lost: Final = not self.readable and any(
            one.commit_time is not None for one in self._replicas
        )
        self._ordered: Final = [one.location for one in tx.versions.regions(uid)] if uid else []
        locations = [one.location for one in desired.regions]
        self.occupied: Final = {
            location: tx.room.occupied(location)
            for location in locations
            if limit_of(self.regions.get(location)) is not None
        }
        self.rates: Final = {location: rate(tx, location) for location in locations}

    def held(self, location: str) -> list[Replica]:
        """Answer the replicas in a region that stay unless the plan removes them."""
        return [
            one for one in self._replicas if one.location == location and one.state not in LEAVING
        ]

    def leaving(self, desired: DesiredReplicas) -> list[str]:
        """Answer the regions that the version is in and is not wanted in."""
        wanted = {one.location for one in desired.regions}
        return [
            location
            for location in dict.fromkeys(self._ordered)
            if location not in wanted and self.held(location)
        ]

    def freed(self, location: str, kept: frozenset[str]) -> int:
        """Answer the bytes that the replicas of a region outside `kept` slots have brought."""
        going = {one.slot for one in self.held(location)} - kept
        return sum(
            one.stored_bytes
            for one in self._disks
            if one.location == location and one.slot in going
        )


def rate(tx: Tx, location: str) -> float | None:
    """Answer bytes per second that the newest copies wrote into a region; None for none."""
    moved, seconds = 0, 0.0
    for region in tx.versions.newest_completed(location, _MEASURED):
        start = region.start_time
        if start is None:
            continue
        copied = [
            one
            for one in tx.replicas.of_region(region.version, location)
            if one.commit_time is not None and one.commit_time > start
        ]
        ends = [one.commit_time for one in copied if one.commit_time is not None]
        count = sum(one.progress.counters.copied for one in copied)
        if count:
            moved += count
            seconds += (max(ends) - start).total_seconds()
    return moved / seconds if moved and seconds > 0 else None
