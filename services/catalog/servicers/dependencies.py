"""What the servicers are made from; `bootstrap` fills it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from services.catalog.ports.calls import Regions, Subscriptions
from services.catalog.ports.policy import Scopes, SharingAuthority
from services.catalog.ports.reading import Readers
from services.catalog.ports.sources import BlobHolds, Sources
from services.catalog.ports.transaction import Tx
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.db.operations import OperationStore
from services.kernel.db.request_log import RequestLog
from services.kernel.paging import PageTokens
from services.policy.access_control import PolicyAccessControl

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest disks, in bytes, of fully replicated and of shallow versions."""

    full_disk_bytes: int
    shallow_disk_bytes: int


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything that outlives a call.

    `bind` makes the stores of one transaction: of its connection, and of the trace that
    messages to other services go on with.
    """

    db: Database
    bind: Callable[[Any, str], Tx]
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
    limits: Limits

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction of its own, beside that of a call."""
        return self.db.transact(lambda connection: work(self.bind(connection, "")))
