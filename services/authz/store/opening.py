"""Opens the stores of a process over one database."""

from dataclasses import dataclass

from services.authz.store.audit import AuditLog
from services.authz.store.decisions import Decisions
from services.authz.store.feed import PolicyFeed
from services.authz.store.policy import Encode, SqlPolicyStore
from services.authz.store.policy_head import Decode, PolicyHead
from services.authz.store.replicas import Replicas
from services.authz.store.tables import POLICY_LOG
from services.authz.store.upkeep import Upkeep
from services.kernel.clock import Clock
from services.kernel.db.engine import Database
from services.kernel.feed.log import FeedLog


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that authz keeps, and the compiled policy of this process."""

    db: Database
    log: FeedLog
    policy: SqlPolicyStore
    head: PolicyHead
    audit: AuditLog
    replicas: Replicas
    feed: PolicyFeed
    decisions: Decisions
    clock: Clock

    @property
    def upkeep(self) -> Upkeep:
        """What forgets what need not be kept."""
        return Upkeep(self.db, self.log, self.clock)


def open_stores(db: Database, encode: Encode, decode: Decode, clock: Clock) -> Stores:
    """Build the stores; `encode` and `decode` are the form of the log's entries."""
    log = FeedLog(POLICY_LOG, clock)
    head = PolicyHead(db, log, decode)
    audit = AuditLog(db, clock)
    policy = SqlPolicyStore(db, log, head, audit, encode=encode, clock=clock)
    return Stores(
        db,
        log,
        policy,
        head,
        audit,
        replicas=Replicas(db, clock),
        feed=PolicyFeed(db, log),
        decisions=Decisions(db, log),
        clock=clock,
    )
