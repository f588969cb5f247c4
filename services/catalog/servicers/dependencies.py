"""What the servicers are made from; `bootstrap` fills it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from services.catalog.domain.usage import UsageLimits
from services.catalog.ports.calls import Regions, Subscriptions
from services.catalog.ports.policy import Scopes, SharingAuthority
from services.catalog.ports.reading import Readers
from services.catalog.ports.sources import BlobHolds, Sources
from services.catalog.ports.transaction import Run, Tx
from services.catalog.ports.usage import UsageReader
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.db.operations import OperationStore
from services.kernel.db.request_log import RequestLog
from services.kernel.paging import PageTokens
from services.policy.access_control import PolicyAccessControl

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything that outlives a call.

    `run` does work with the stores of one transaction, which is open on a connection.
    """

    db: Database
    run: Run
    readers: Readers
    request_log: RequestLog
    operations: OperationStore
    page_tokens: PageTokens
    clock: Clock
    control: PolicyAccessControl
    subscriptions: Subscriptions
    regions: Regions
    sources: Sources
    holds: BlobHolds
    scopes: Scopes
    sharing: SharingAuthority
    usage: UsageReader
    limits: UsageLimits
    community_disclaimer: str

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction of its own, beside that of a call."""
        return self.db.transact(lambda connection: self.run(connection, work))

    def look(self, work: Callable[[Tx], T]) -> T:
        """Run `work`, which only reads, without a transaction that others would wait for."""
        return self.db.read(lambda connection: self.run(connection, work))
