"""The rows of versions: what is wanted of them, who copies them, and what came of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.replication.domain.events import Event, EventBody
from services.replication.domain.moments import Moment
from services.replication.domain.progress import Progress
from services.replication.domain.records import (
    Replica,
    ReplicaDisk,
    ReplicationRecord,
    Version,
    VersionDisk,
    VersionRegion,
)
from services.replication.domain.snapshots import ReplicationView
from services.replication.domain.states import Health
from services.replication.domain.verification import Verification
from services.replication.ports.requests import Listing


@dataclass(frozen=True, slots=True)
class Alike:
    """A disk of a tenant in the versions of a definition, one version left out.

    `definition` is the key of its name.
    """

    tenant: str
    definition: str
    disk: str
    without: str


class VersionRows(Protocol):
    """Versions, what is wanted of them, and what they hold."""

    def get(self, uid: str) -> Version | None:
        """Answer a version."""

    def lock(self, uid: str) -> Version | None:
        """Answer a version and keep others from changing anything of it."""

    def many(self, uids: Sequence[str]) -> Mapping[str, Version]:
        """Answer versions by uid."""

    def named(self, name_key: str) -> Version | None:
        """Answer the version that has the name now: the newest that is not withdrawn."""

    def insert(self, version: Version) -> bool:
        """Add a version unless it is there; tell whether it was added."""

    def update(self, version: Version) -> None:
        """Replace a version."""

    def disks(self, uid: str) -> Sequence[VersionDisk]:
        """Answer the known content of the disks, in their order."""

    def contents(self, uids: Sequence[str]) -> Sequence[VersionDisk]:
        """Answer the known content of the disks of several versions."""

    def put_disk(self, disk: VersionDisk) -> None:
        """Record the content of a disk, once; of one that was not hashed yet, its root."""

    def regions(self, uid: str) -> Sequence[VersionRegion]:
        """Answer the regions of a version in their order."""

    def regions_of(self, uids: Sequence[str]) -> Sequence[VersionRegion]:
        """Answer the regions of several versions."""

    def marks(self, name_keys: Collection[str]) -> Mapping[str, frozenset[tuple[str, int]]]:
        """Answer, by name, the replication and the generation of each version that has it."""

    def newest_completed(self, location: str, limit: int) -> Sequence[VersionRegion]:
        """Answer what was completed last in a region, the newest first."""

    def put_region(self, region: VersionRegion) -> None:
        """Add or replace a region of a version."""

    def feed_page(
        self, after: tuple[str, ...] | None, limit: int
    ) -> Sequence[tuple[str, VersionRegion, int]]:
        """Answer (name, region, stored bytes) of regions that are not removed."""

    def forget(self, older_than: datetime, limit: int) -> int:
        """Remove versions that were withdrawn that long ago and lie nowhere; answer how many."""

    def moving(self) -> Sequence[tuple[str, int, str, Progress]]:
        """Answer (uid, generation, location, progress) of the regions that are being copied."""


class ReplicationRows(Protocol):
    """Replications and their events."""

    def get(self, replication: str) -> ReplicationRecord | None:
        """Answer a replication."""

    def of_operation(self, operation: str) -> ReplicationRecord | None:
        """Answer the replication that an operation waits for."""

    def delivered(self, version: str, generation: int, delivery: str) -> ReplicationRecord | None:
        """Answer what a delivery has opened."""

    def insert(self, record: ReplicationRecord) -> None:
        """Add a replication."""

    def update(self, record: ReplicationRecord) -> None:
        """Replace a replication."""

    def set_final(self, replication: str, view: ReplicationView) -> None:
        """Keep the whole replication as it ended."""

    def final(self, replication: str) -> ReplicationView | None:
        """Answer the whole replication as it ended; None while it is open."""

    def finals(self, ids: Sequence[str]) -> Mapping[str, ReplicationView]:
        """Answer replications as they ended, by id; those that are open are left out."""

    def page(self, listing: Listing) -> Sequence[ReplicationRecord]:
        """Answer a page of replications."""

    def open_ones(self) -> Sequence[tuple[str, int, int]]:
        """Answer (id, sequence, progress revision) of all that are open."""

    def marks(self, ids: Sequence[str]) -> Sequence[tuple[str, int, int]]:
        """Answer (id, sequence, progress revision) of these."""

    def feed_page(self, after: tuple[str, ...] | None, limit: int) -> Sequence[ReplicationRecord]:
        """Answer the newest replication of each version that is not withdrawn, by id."""

    def add_events(
        self, replication: str, first: int, time: datetime, bodies: Sequence[EventBody]
    ) -> None:
        """Add events from sequence `first` on."""

    def events_after(self, replication: str, sequence: int, limit: int) -> Sequence[Event]:
        """Answer events in their order."""

    def forget_events(self, older_than: datetime, limit: int) -> int:
        """Compact the events of replications that ended that long ago; answer how many."""


class ReplicaRows(Protocol):
    """Replicas and their disks."""

    def get(self, version: str, location: str, slot: str) -> Replica | None:
        """Answer a replica."""

    def of_region(self, version: str, location: str) -> Sequence[Replica]:
        """Answer the replicas of a version in a region by slot."""

    def of_version(self, version: str) -> Sequence[Replica]:
        """Answer the replicas of a version by region and slot."""

    def put(self, replica: Replica) -> None:
        """Add or replace a replica."""

    def disks(self, version: str, location: str = "", slot: str = "") -> Sequence[ReplicaDisk]:
        """Answer the disks of the replicas of a version, a region or a slot."""

    def disks_of(self, versions: Sequence[str]) -> Sequence[ReplicaDisk]:
        """Answer the disks of all replicas of several versions."""

    def put_disk(self, disk: ReplicaDisk) -> None:
        """Add or replace a disk of a replica."""

    def forget(self, version: str, location: str, slot: str) -> None:
        """Remove a replica that is gone."""

    def page(self, listing: Listing) -> Sequence[Replica]:
        """Answer a page of replicas."""

    def claimable(
        self, moment: Moment, share: int, locations: Collection[str]
    ) -> Sequence[Replica]:
        """Answer due tasks that nobody holds, `share` of each tenant in each region.

        Those that wait longest; of `locations` alone, if there are any.
        """

    def running(self, moment: Moment, location: str = "") -> Sequence[tuple[str, str, int]]:
        """Answer, by region and tenant, how many copies are held; of one region or all."""

    def copies_into(self, location: str, slot: str, moment: Moment) -> int:
        """Answer how many copies into a slot are held."""

    def owned(self, owner: str) -> Sequence[Replica]:
        """Answer the tasks that a process holds."""

    def extend(self, owner: str, until: datetime) -> None:
        """Make the leases of a process end later."""

    def disown(self, place: str, now: datetime) -> int:
        """End the leases of all owners in a place, and answer how many there were."""

    def of_health(self, location: str, slot: str, health: Collection[Health]) -> Sequence[Replica]:
        """Answer the replicas in a slot that are committed and of one of these healths."""

    def doubt(self, location: str, slot: str, now: datetime) -> None:
        """Make all that is committed in a slot DAMAGED, and its repair due now."""

    def damaged(self, now: datetime, limit: int) -> Sequence[Replica]:
        """Answer damaged replicas whose repair is due, those that wait longest first."""

    def unverified(
        self, before: datetime, limit: int, leave_out: Collection[tuple[str, str]]
    ) -> Sequence[ReplicaDisk]:
        """Answer good disks that were not read back since, the oldest first.

        Those in the slots (location, slot) of `leave_out` are passed over.
        """

    def in_slot(self, location: str, slot: str) -> Sequence[Replica]:
        """Answer the replicas that lie, or are to lie, in a slot."""

    def roots(self, location: str, slot: str, alike: Alike, limit: int) -> Sequence[str]:
        """Answer the roots of a disk in the good replicas of a slot, committed last first."""


class VerificationRows(Protocol):
    """Verifications that were asked for and are not done."""

    def put(self, verification: Verification) -> None:
        """Add or replace a verification."""

    def get(self, operation: str) -> Verification | None:
        """Answer the verification that an operation waits for."""

    def next(self) -> Verification | None:
        """Answer the one to go on with: that which has got least, so that all get on."""

    def count(self) -> int:
        """Answer how many there are."""

    def finish(self, operation: str) -> None:
        """Forget one that is done, or given up."""


class BreakerRows(Protocol):
    """Slots that did not answer when they were last tried."""

    def all(self) -> Mapping[tuple[str, str], tuple[int, datetime]]:
        """Answer, by region and slot, the failures since the last success, and the pause's end."""

    def fail(self, location: str, slot: str, until: datetime) -> int:
        """Count a failure, after which nothing is tried until then; answer the count."""

    def reset(self, location: str, slot: str) -> None:
        """Forget the failures of a slot that answers."""
