"""What the servicers are made from; `bootstrap` fills it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.db.operations import OperationStore
from services.kernel.paging import PageTokens
from services.policy.access_control import PolicyAccessControl
from services.replication.config import Config
from services.replication.ports.audit import AuditTrail
from services.replication.ports.outside import (
    BlobSources,
    GrantVerifier,
    OperationResults,
    ReaderSeats,
    Rights,
    SourceFiles,
    Stores,
)
from services.replication.ports.rows import UnitOfWork
from services.replication.servicers.feed_tail import FeedSource
from services.replication.servicers.watch_hub import WatchHub
from services.replication.usecases.verifying import Verifications


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything that outlives a call; made on the loop that serves.

    `cancel_operation` cancels, in a transaction of the kernel's, what an operation waits for.
    """

    config: Config
    db: Database
    rows: UnitOfWork
    operations: OperationStore
    results: OperationResults
    page_tokens: PageTokens
    clock: Clock
    control: PolicyAccessControl
    stores: Stores
    files: SourceFiles
    blobs: BlobSources
    grants: GrantVerifier
    rights: Rights
    seats: ReaderSeats
    audit: AuditTrail
    verifications: Verifications
    hub: WatchHub
    feed: FeedSource
    cancel_operation: Callable[[Any, str], None]
