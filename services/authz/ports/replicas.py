"""How far the replicas of the policy are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.policy.consistency import LogPosition


@dataclass(frozen=True, slots=True)
class Lagging:
    """A live replica that has not applied a revision."""

    replica_id: str
    workload: str
    revision: int


class ReplicaStore(Protocol):
    """How far the replicas of the policy are."""

    def report(
        self, replica_id: str, workload: str, position: LogPosition, *, leaving: bool
    ) -> None:
        """Record how far a replica is."""

    def lagging(self, position: LogPosition) -> Sequence[Lagging]:
        """Answer the live replicas that are before a position."""
