"""How far copies are, in bytes, and why they failed or wait."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Counters:
    """Bytes of disks as the guest sees them; none goes down while a generation lasts.

    `total` counts zeros too. Bytes that must be copied again raise it (contract,
    `stoa.type.v1.ReplicationProgress`).
    """

    total: int = 0
    copied: int = 0
    deduplicated: int = 0
    zero: int = 0
    verified: int = 0
    repaired: int = 0

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(
            self.total + other.total,
            self.copied + other.copied,
            self.deduplicated + other.deduplicated,
            self.zero + other.zero,
            self.verified + other.verified,
            self.repaired + other.repaired,
        )

    def percent(self) -> int:
        """Answer what is done, copying and verification together, 0 to 99.

        Only a commit makes 100 of it.
        """
        data = self.total - self.zero
        if self.total == 0:
            return 0
        if data <= 0:
            return PERCENT - 1
        done = self.copied + self.deduplicated + self.verified
        return min(done * PERCENT // (2 * data), PERCENT - 1)

    def left(self) -> int:
        """Answer the bytes still to be copied."""
        return max(self.total - self.zero - self.copied - self.deduplicated, 0)


NO_BYTES: Final = Counters()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is; `rate` is in bytes per second over the last 30 s, 0 for none."""

    counters: Counters = NO_BYTES
    percent: int = 0
    rate: int = 0

    @property
    def remaining_seconds(self) -> int | None:
        """The rest at the present rate; None where that is not known."""
        if self.rate <= 0 or self.percent >= PERCENT:
            return None
        return -(-self.counters.left() // self.rate)

    def not_below(self, floor: int) -> "Progress":
        """Answer the same with at least `floor` percent: what is shown never decreases."""
        return self if self.percent >= floor else replace(self, percent=floor)


NO_PROGRESS: Final = Progress()


def together(parts: Iterable[Progress]) -> Progress:
    """Add up several copies; the percentage is that of the bytes, 100 where all have 100."""
    found = list(parts)
    counters = sum((part.counters for part in found), NO_BYTES)
    if found and all(part.percent == PERCENT for part in found):
        return Progress(counters, PERCENT, sum(part.rate for part in found))
    sizes = [max(part.counters.total, 1) for part in found]
    weighted = sum(size * part.percent for size, part in zip(sizes, found, strict=True))
    percent = min(weighted // max(sum(sizes), 1), PERCENT - 1)
    return Progress(counters, percent, sum(part.rate for part in found))


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something failed or waits; `code` is the number of a canonical status code."""

    code: int
    reason: str
    message: str
    retryable: bool
    time: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
