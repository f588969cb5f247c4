"""What the feed is to tell of one transaction's changes to a version (replication.md 2.11).

Followers read of a replication's begin before the regions that it changed, and of its end after
them, in whatever order the changes were made.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.replication.domain.events import End, FeedItem, RegionOfVersion, ReplicationSummary
from services.replication.domain.records import ReplicationRecord, Version, VersionRegion
from services.replication.ports.rows import Tx

_Item = tuple[FeedItem, Callable[[int], None]]


class FeedNews:
    """The items of one transaction, gathered until it is about to commit."""

    def __init__(self, tx: Tx, now: datetime) -> None:
        self._tx: Final = tx
        self._now: Final = now
        self._regions: Final[dict[str, VersionRegion]] = {}
        self._begun: Final[list[_Item]] = []
        self._ended: Final[list[_Item]] = []

    def region(self, region: VersionRegion) -> None:
        """Tell of a region as it is now; an earlier word of it is replaced."""
        self._regions[region.location] = region

    def replication(self, version: Version, record: ReplicationRecord, end: End | None) -> None:
        """Tell of the state of a replication, or of its end."""
        summary = ReplicationSummary(
            id=record.id,
            name=version.name,
            version=version.uid,
            generation=record.generation,
            state=record.state,
            sequence=record.sequence,
            retry=record.retry,
            end=end,
        )

        def place(position: int) -> None:
            found = self._tx.replications.get(record.id)
            if found is not None:
                self._tx.replications.update(replace(found, feed_position=position))

        item = (FeedItem(self._now, replication=summary), place)
        (self._begun if end is None or end.successor else self._ended).append(item)

    def publish(self, version: Version) -> None:
        """Append to the feed; last, since its head is locked from here to the commit."""
        regions = [self._of_region(version, region) for region in self._regions.values()]
        items = [*self._begun, *regions, *self._ended]
        if not items:
            return
        last = self._tx.feed.append([item for item, _ in items])
        for position, (_, place) in enumerate(items, last - len(items) + 1):
            place(position)

    def _of_region(self, version: Version, region: VersionRegion) -> _Item:
        stored = sum(
            one.stored_bytes for one in self._tx.replicas.disks(version.uid, region.location)
        )
        disks = tuple(self._tx.versions.disks(version.uid))
        told = RegionOfVersion(version.name, region, stored, disks)

        def place(position: int) -> None:
            self._tx.versions.put_region(replace(region, feed_position=position))

        return FeedItem(self._now, version_region=told), place
