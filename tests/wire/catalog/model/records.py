"""What the model remembers of each resource."""

from dataclasses import dataclass, field
from datetime import datetime

from tests.wire.catalog.model.requests import Feature, SoftDelete, Target
from tests.wire.catalog.model.words import TERMINAL, RegionState, Storage, Wait

Number = tuple[int, int, int]


@dataclass(slots=True)
class Row:
    """One region of one version."""

    location: str
    # The generation that brought the region in, and the newest that wants something else of it.
    added: int
    wished: int
    state: RegionState = RegionState.PENDING
    usable: bool = False
    observed: int = 0
    completed: bool = False
    good: int = 0
    removed: int | None = None
    # What it was done with, and whether it was ever whole, before it was taken out and came again.
    former: int = 0
    former_good: int = 0
    was_completed: bool = False
    # Whether its copies were asked to stop, and have not told how they ended.
    cancelling: bool = False

    def done(self, generation: int) -> bool:
        """Whether the region is done with the generation, well or badly."""
        return self.removed is None and self.observed >= generation and self.state in TERMINAL


@dataclass(slots=True)
class Operation:
    """A change of a version that somebody may wait for."""

    verb: str
    version: str
    generation: int
    wait: Wait
    # Those that it waits for, to be done with its generation.
    regions: list[str]
    # None: unfinished; "": done; otherwise the code and reason of its error.
    outcome: str | None = None
    failed: frozenset[str] = frozenset()
    # Whether the contract leaves open if it had to wait at all.
    doubtful: bool = False
    cancelling: bool = False
    name: str = ""


@dataclass(slots=True)
class Version:
    name: str
    number: Number
    location: str
    targets: list[Target]
    count: int
    exclude: bool
    storage: Storage
    end_of_life: datetime | None
    guard: bool | None
    block: bool
    tags: dict[str, str]
    generation: int = 1
    rows: dict[str, Row] = field(default_factory=dict)
    # The counts that were wanted, by generation and region.
    wishes: dict[int, dict[str, int]] = field(default_factory=dict)
    # The newest generation that replication has told anything of.
    told: int = 0
    # Whether any generation has come to its end everywhere.
    settled: bool = False
    soft_deleted: bool = False
    # Of a soft-deleted one: until when it can be used, and when it goes; the service says when it
    # was deleted.
    policy: SoftDelete | None = None
    consumption_end: datetime | None = None
    purge: datetime | None = None
    undeleting: bool = False
    deleting: bool = False
    uid: str = ""

    def wanted(self, target: Target) -> int:
        """How many replicas a region shall have."""
        if self.soft_deleted:
            return 1
        return self.count if target.count is None else target.count

    def kept_on(self, target: Target) -> Storage:
        """What the replicas of a region are kept on."""
        return self.storage if target.storage is Storage.UNSPECIFIED else target.storage

    def target(self, location: str) -> Target | None:
        return next((one for one in self.targets if one.location == location), None)

    def expired(self, now: datetime) -> bool:
        """Whether it is kept, and cannot be used any more."""
        return self.consumption_end is not None and now >= self.consumption_end

    def usable_in(self, now: datetime) -> set[str]:
        if self.expired(now):
            return set()
        return {row.location for row in self.rows.values() if row.usable}


@dataclass(slots=True)
class Definition:
    name: str
    location: str
    identifier: tuple[str, str, str]
    os_type: str
    os_state: str
    generation: str
    description: str
    end_of_life: datetime | None
    vcpus: tuple[int, int] | None
    features: tuple[Feature, ...]
    tags: dict[str, str]
    versions: dict[Number, Version] = field(default_factory=dict)
    # Numbers whose versions were deleted for good.
    gone: set[Number] = field(default_factory=set)
    deleting: bool = False
    uid: str = ""


@dataclass(slots=True)
class Gallery:
    name: str
    location: str
    description: str
    tags: dict[str, str]
    soft_delete: SoftDelete | None
    definitions: dict[str, Definition] = field(default_factory=dict)
    deleting: bool = False
    uid: str = ""

    def keeps_deleted(self) -> bool:
        return self.soft_delete is not None and self.soft_delete.enabled
