"""The audit log, and the decisions that can be explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.authz.domain.audit import AuditRecord, Event
from services.authz.domain.decisions import MadeDecision
from services.kernel.filter import Comparison
from services.kernel.paging import KeyValue


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What one page of audit records is asked for: of a chain, of a home below one, or of all."""

    limit: int
    chain: str = ""
    home: str = ""
    descending: bool = True
    filters: tuple[Comparison, ...] = ()
    after: tuple[KeyValue, ...] | None = None


class AuditStore(Protocol):
    """The audit log."""

    def append(
        self, events: Sequence[Event], *, workload: str, request_id: str, digest: bytes
    ) -> Sequence[str]:
        """Add records, all or none, once for each request id; answer their names.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED.
        """

    def page(self, page: AuditPage) -> Sequence[tuple[AuditRecord, tuple[KeyValue, ...]]]:
        """Answer records with the key values that a next page follows after."""


class DecisionStore(Protocol):
    """Decisions that can be explained."""

    def record(self, made: Sequence[MadeDecision]) -> None:
        """Keep decisions, at least one, as long as the log of changes is kept.

        Nobody waits for it, and it never fails; another process finds them a moment later.
        """

    def find(self, id: str) -> MadeDecision | None:
        """Answer a decision by its id: one that is kept, or that a service told of."""
