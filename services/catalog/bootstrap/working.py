"""The process of what goes on without a caller."""

from collections.abc import Mapping
from contextlib import ExitStack

from services.catalog.bootstrap.foundation import Foundation, open_foundation
from services.catalog.clients import authz, replication
from services.catalog.clients.audit import AuthzAudit
from services.catalog.clients.blobs import ReplicationBlobHolds
from services.catalog.clients.grants import GrantSigner
from services.catalog.clients.sharing import AuthzSharing
from services.catalog.config import Config
from services.catalog.domain.audit import AuditEntry
from services.catalog.domain.desired import Desired
from services.catalog.domain.plan import PlanOrder
from services.catalog.domain.region_status import Cause
from services.catalog.store import tables
from services.catalog.store.cursor import read_cursor
from services.catalog.store.documents import load as read_document
from services.catalog.store.usage import purge_crossed
from services.catalog.workers import audit, duties, plans, sources
from services.catalog.workers import replication as versions
from services.catalog.workers.expiry import Expiry
from services.catalog.workers.feed import ReplicationFeed
from services.catalog.workers.housekeeping import Housekeeping
from services.catalog.workers.sharing import ShareFinisher
from services.kernel.child import Child
from services.kernel.db.leases import Leases
from services.kernel.db.outbox import Handler, OutboxDrainer
from services.kernel.db.request_log import RequestLog


def work(config: Config, child: Child) -> None:
    """Do what goes on without a caller until the child is told to stop."""
    with ExitStack() as stack:
        foundation = open_foundation(config, stack)
        running = build_duties(foundation)
        running.start()
        child.ready()
        child.stop.wait()
        running.stop()


def build_duties(foundation: Foundation) -> duties.Duties:
    """Build what the workers process does."""
    db, stores = foundation.db, foundation.stores
    drainer = OutboxDrainer(
        db, stores.outbox, outbox_handlers(foundation), tracer=foundation.telemetry.tracer
    )
    feed = ReplicationFeed(
        foundation.replication, foundation.transact, lambda: db.read(read_cursor)
    )
    finisher = ShareFinisher(foundation.transact, AuthzSharing(foundation.authz), foundation.clock)
    expiry = Expiry(foundation.transact, foundation.clock)
    housekeeping = Housekeeping(
        db,
        operations=stores.operations,
        request_log=RequestLog(tables.request_log, foundation.clock),
        outbox=stores.outbox,
        usage=lambda tx: purge_crossed(tx, stores.clock),
    )
    return duties.Duties(
        Leases(db, tables.leases),
        {
            "outbox": duties.outbox_duty(drainer),
            "feed": duties.feed_duty(feed.follower),
            "sharing": lambda held: finisher.run(held.stop),
            "expiry": lambda held: expiry.run(held.stop),
            "housekeeping": duties.housekeeping_duty(housekeeping),
        },
        ttl=foundation.config.lease_seconds,
    )


def outbox_handlers(foundation: Foundation) -> Mapping[str, Handler]:
    """Answer what sends each kind of message; extended by whoever adds a kind."""
    client = replication.ReplicationClient(foundation.replication)
    signer = GrantSigner(foundation.config.grant_key, foundation.clock)
    told = AuthzAudit(foundation.authz)
    scopes = authz.AuthzScopes(foundation.authz)

    def replicas(desired: Desired) -> Cause | None:
        try:
            client.ensure(desired, signer)
        except replication.RefusedError as refused:
            return refused.cause
        return None

    return {
        **versions.handlers(
            foundation.transact,
            replicas=replicas,
            cancel_regions=client.cancel,
            scopes=scopes,
            read=lambda payload: read_document(Desired, payload),
            tell=told.append,
        ),
        **sources.handlers(
            foundation.transact,
            holds=ReplicationBlobHolds(foundation.replication),
            scopes=scopes,
        ),
        **plans.handlers(
            foundation.transact,
            ask=client.plan,
            read=lambda payload: read_document(PlanOrder, payload),
        ),
        **audit.handlers(
            told.append,
            lambda payload: read_document(AuditEntry, payload),
        ),
    }
