"""Builds the processes of the service: the one place that knows every part."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from stoa.catalog.v1 import (  # noqa: F401 - their services are served by name
    community_gallery_service_pb2,
    disk_encryption_set_service_pb2,
    disk_service_pb2,
    gallery_service_pb2,
    image_definition_service_pb2,
    image_version_service_pb2,
    managed_image_service_pb2,
    resource_group_service_pb2,
    shared_gallery_service_pb2,
    snapshot_service_pb2,
    storage_account_service_pb2,
    usage_service_pb2,
    virtual_machine_service_pb2,
)

from services.catalog.clients import authz, replication
from services.catalog.clients.audit import AuthzAudit
from services.catalog.clients.blobs import ReplicationBlobHolds
from services.catalog.clients.grants import GrantSigner
from services.catalog.clients.policy import PolicySubscriptions
from services.catalog.clients.sharing import AuthzSharing
from services.catalog.config import SERVICE, Config
from services.catalog.domain.audit import AuditEntry
from services.catalog.domain.desired import Desired
from services.catalog.domain.plan import PlanOrder
from services.catalog.domain.region_status import Cause
from services.catalog.domain.usage import GIB, UsageLimits
from services.catalog.ports.transaction import Tx
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.registry import FACTORIES
from services.catalog.store import tables
from services.catalog.store.cursor import read_cursor
from services.catalog.store.documents import load as read_document
from services.catalog.store.reading import StoreReaders
from services.catalog.store.regions import StoredRegions
from services.catalog.store.schema import MIGRATIONS, REVISION
from services.catalog.store.transaction import Stores
from services.catalog.store.usage import StoredUsage, purge_crossed
from services.catalog.workers import audit, duties, plans, sources
from services.catalog.workers import replication as versions
from services.catalog.workers.expiry import Expiry
from services.catalog.workers.feed import ReplicationFeed
from services.catalog.workers.housekeeping import Housekeeping
from services.catalog.workers.sharing import ShareFinisher
from services.kernel.child import Child
from services.kernel.clock import Clock, SystemClock
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.db.leases import Leases
from services.kernel.db.migrations import migrate
from services.kernel.db.operations import OperationStore
from services.kernel.db.outbox import Handler, Outbox, OutboxDrainer
from services.kernel.db.request_log import RequestLog
from services.kernel.paging import PageTokens
from services.kernel.program import Program
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.identity import Authenticator
from services.kernel.rpc.listeners import Guards
from services.kernel.rpc.server import Server
from services.kernel.rpc.serving import (
    open_channel,
    open_database,
    open_telemetry,
    open_users,
    server_settings,
)
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.access_control import PolicyAccessControl
from services.policy.runtime import open_policy

T = TypeVar("T")

DOMAIN: Final = "catalog.stoa.dev"


def program(file: Path | None) -> Program:
    """Make the program from its settings.

    Raises:
        ConfigError: they are wrong.
    """
    config = load(Config, SERVICE, file=file)
    return Program(
        migrate=lambda: migrate(config.database_url, MIGRATIONS),
        serve=lambda child: serve(config, child),
        work=lambda child: work(config, child),
        servers=config.server_count(),
        grace=config.grace_seconds + 5,
        config=config,
    )


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every process of the service has: its database, and ways to the other services."""

    config: Config
    db: Database
    stores: Stores
    clock: Clock
    telemetry: Telemetry
    replication: ServiceChannel
    authz: ServiceChannel

    def run(self, connection: Any, work: Callable[[Tx], T], traceparent: str = "") -> T:
        """Run `work` in a transaction that is open on a connection."""
        return self.stores.run(connection, work, traceparent)

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction."""
        return self.db.transact(lambda connection: self.stores.run(connection, work))


def open_foundation(config: Config, stack: ExitStack, clock: Clock | None = None) -> Foundation:
    """Open what every process has; `stack` closes it. Without a `clock` it is the machine's.

    Raises:
        SchemaMismatchError: the database is not migrated.
    """
    telemetry = open_telemetry(config, SERVICE, stack)
    clock = clock or SystemClock()
    db = open_database(config, REVISION, stack)
    stores = Stores(
        OperationStore(db, tables.operations, clock),
        Outbox(tables.outbox, clock),
        clock,
        limits_of(config),
    )

    def channel(address: str, services: tuple[str, ...]) -> ServiceChannel:
        return open_channel(config, address, services, stack=stack, telemetry=telemetry)

    return Foundation(
        config,
        db,
        stores,
        clock,
        telemetry,
        channel(config.replication_address, replication.SERVICES),
        channel(config.authz_address, authz.SERVICES),
    )


def limits_of(config: Config) -> UsageLimits:
    """Answer the limits that the operator has set."""
    return UsageLimits(
        galleries=config.max_galleries,
        image_definitions=config.max_image_definitions,
        image_versions=config.max_image_versions,
        replicas_per_version=config.max_replicas_per_version,
        full_disk_bytes=config.max_full_disk_gib * GIB,
        shallow_disk_bytes=config.max_shallow_disk_gib * GIB,
        versions_per_source=config.max_versions_per_source,
    )


def serve(config: Config, child: Child) -> None:
    """Serve calls until the child is told to stop."""
    with ExitStack() as stack:
        foundation = open_foundation(config, stack)
        runtime = open_policy(
            config, SERVICE, foundation.authz, stack=stack, telemetry=foundation.telemetry
        )
        server = build_server(foundation, runtime.control, open_users(config, stack))
        ports = server.start()
        # Without a policy every call is UNAVAILABLE: that is not yet serving.
        while not child.stop.is_set() and not runtime.wait_ready(0.2):
            pass
        child.ready(**{audience.value: port for audience, port in ports.items()})
        child.stop.wait()
        server.stop()


def work(config: Config, child: Child) -> None:
    """Do what goes on without a caller until the child is told to stop."""
    with ExitStack() as stack:
        foundation = open_foundation(config, stack)
        running = build_duties(foundation)
        running.start()
        child.ready()
        child.stop.wait()
        running.stop()


def build_server(
    foundation: Foundation, control: PolicyAccessControl, users: Authenticator
) -> Server:
    """Build the server of all services, on the client and the internal listener."""
    guards = Guards(users, control)
    server = Server(server_settings(foundation.config, DOMAIN), guards, foundation.telemetry)
    register(server, dependencies_of(foundation, control))
    return server


def dependencies_of(foundation: Foundation, control: PolicyAccessControl) -> Dependencies:
    """Put together what the servicers are made from."""
    config, db = foundation.config, foundation.db
    return Dependencies(
        db=db,
        run=foundation.run,
        readers=StoreReaders.of(db),
        request_log=RequestLog(tables.request_log, foundation.clock),
        operations=foundation.stores.operations,
        page_tokens=PageTokens(config.page_token_secret.encode()),
        clock=foundation.clock,
        control=control,
        subscriptions=PolicySubscriptions(control, config.subscription_regions),
        regions=replication.MirroredRegions(StoredRegions(db), foundation.replication),
        sources=replication.ReplicationClient(foundation.replication),
        holds=ReplicationBlobHolds(foundation.replication),
        scopes=authz.AuthzScopes(foundation.authz),
        sharing=AuthzSharing(foundation.authz),
        usage=StoredUsage(db),
        limits=foundation.stores.limits,
        community_disclaimer=config.community_disclaimer,
    )


def register(server: Server, dependencies: Dependencies) -> None:
    """Serve every proto service that is built."""
    for service, factory in FACTORIES.items():
        server.register(service, factory(dependencies))


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
