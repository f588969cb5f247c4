"""Reading replicas back on request: what is to be read, and what was found."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.replication.domain.progress import Cause, Counters
from services.replication.domain.states import Health

MAX_FINDINGS: Final = 1000
"""How many findings an operation answers."""


class Depth(enum.Enum):
    """How thoroughly replicas are verified."""

    FULL = "FULL"
    SAMPLE = "SAMPLE"
    STORE_CHECKSUM = "STORE_CHECKSUM"


@dataclass(frozen=True, slots=True)
class Target:
    """One disk of one replica."""

    location: str
    slot: str
    disk: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What came out for one disk of one replica; bytes as the contract counts them.

    `checked` tells whether it could be read at all, `health` what it is afterwards.
    """

    target: Target
    health: Health
    time: datetime
    checked: bool = True
    verified_bytes: int = 0
    damaged_bytes: int = 0
    repaired_bytes: int = 0
    cause: Cause | None = None

    @property
    def is_damage(self) -> bool:
        """Whether something was wrong, repaired or not."""
        return self.damaged_bytes > 0 or self.health is not Health.GOOD


@dataclass(frozen=True, slots=True)
class Verification:
    """A request that is being worked on; `position` targets are done.

    `findings` are those where something was wrong, `regions` the bytes by region.
    """

    operation: str
    version: str
    depth: Depth
    report_only: bool
    targets: tuple[Target, ...]
    create_time: datetime
    position: int = 0
    findings: tuple[Finding, ...] = ()
    regions: Mapping[str, Counters] = field(default_factory=dict)
    verified_count: int = 0
    damaged_count: int = 0
    all_good: bool = True
    verified_bytes: int = 0
    repaired_bytes: int = 0

    @property
    def is_done(self) -> bool:
        """Whether every target was looked at."""
        return self.position >= len(self.targets)
