"""Puts the replication service together; every process begins here."""

import asyncio
import os
import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from stoa.authz.v1 import (  # noqa: F401 - their methods are known by name
    authorization_service_pb2,
    policy_feed_service_pb2,
)

from services.kernel.child import Child
from services.kernel.clock import Clock, SystemClock
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.db.leases import HeldLease, Leases, run_under_lease
from services.kernel.db.migrations import check_schema, migrate
from services.kernel.feed.stream import FeedTail
from services.kernel.ids import new_uid
from services.kernel.paging import PageTokens
from services.kernel.program import Program
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.credentials import TlsFiles
from services.kernel.rpc.identity import BearerAuthenticator
from services.kernel.rpc.jwks import KeySource, reader
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.tokens import Issuer, TokenVerifier
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.runtime import PolicyRuntime
from services.replication.clients.audit import SERVICE as AUDIT_SERVICE
from services.replication.clients.audit import AuthzAudit
from services.replication.clients.grants import GrantReader
from services.replication.clients.rights import PolicyRights
from services.replication.clients.store_pool import StorePool
from services.replication.config import SERVICE, Config
from services.replication.content.progress import CopyOptions, VerifyPolicy
from services.replication.convert.common import DOMAIN
from services.replication.convert.operations import RetryResults
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.feed_tail import FeedSource, feed_codec
from services.replication.servicers.registry import FACTORIES
from services.replication.servicers.watch_hub import WatchHub
from services.replication.store import tables
from services.replication.store.blob_sources import BlobSourceTable
from services.replication.store.feed import FeedReader, feed_item, initialise
from services.replication.store.schema import MIGRATIONS, REVISION
from services.replication.store.unit_of_work import SqlTx, SqlUnitOfWork
from services.replication.usecases.acting import ReplicationActions
from services.replication.usecases.blob_collection import BlobCollection
from services.replication.usecases.claims import Claims
from services.replication.usecases.copying import CopyReplica
from services.replication.usecases.origins import Origins
from services.replication.usecases.settings import EngineSettings
from services.replication.usecases.tasks import Tasks
from services.replication.workers import blob_collector
from services.replication.workers.blob_collector import BlobCollector
from services.replication.workers.engine import Engine
from services.replication.workers.housekeeping import Housekeeping

# How long a process that starts waits for the policy before it serves without: it then answers
# UNAVAILABLE until it has one.
POLICY_PATIENCE: Final = 10.0


def program(file: Path | None) -> Program:
    """Make the program from its settings.

    Raises:
        ConfigError: they are wrong.
    """
    config = load(Config, SERVICE, file=file)
    return Program(
        migrate=lambda: prepare(config),
        serve=lambda child: asyncio.run(serve(config, child)),
        work=lambda child: work(config, child),
        servers=config.servers,
        grace=config.grace_seconds + 5,
        config=config,
    )


def prepare(config: Config) -> None:
    """Migrate the database, and give a new one its identity."""
    migrate(config.database_url, MIGRATIONS)
    with Database.open(config.database_url) as db:
        initialise(db)


async def serve(config: Config, child: Child) -> None:
    """Serve calls until the child is told to stop."""
    with ExitStack() as stack:
        telemetry = _telemetry(config, stack)
        parts = open_parts(config, stack, telemetry)
        await asyncio.get_running_loop().run_in_executor(
            None, parts.policy.wait_ready, POLICY_PATIENCE
        )
        keys = KeySource(reader(config.token_keys))
        stack.callback(keys.close)
        server = build_server(config, parts, keys, stack=stack)
        ports = await server.start()
        child.ready(**{audience.value: port for audience, port in ports.items()})
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        child.stop.on_set(lambda: loop.call_soon_threadsafe(stopped.set))
        await stopped.wait()
        await server.stop()


def work(config: Config, child: Child) -> None:
    """Copy, and keep the database in bounds, until the child is told to stop."""
    with ExitStack() as stack:
        telemetry = _telemetry(config, stack)
        parts = open_parts(config, stack, telemetry)
        owner = f"{socket.gethostname()}:{os.getpid()}:{new_uid()}"
        engine = build_engine(config, parts, owner)
        housekeeping = Housekeeping(
            parts.rows,
            parts.stores,
            lambda: _forget(parts.rows),
            retention=timedelta(days=config.event_retention_days),
        )
        leases = Leases(parts.db, tables.leases)

        def keep_house(held: HeldLease) -> None:
            housekeeping.run(held.stop)

        keeper = threading.Thread(
            target=run_under_lease,
            args=(leases, "housekeeping", keep_house),
            kwargs={"owner": owner, "stop": child.stop},
            name="housekeeping",
            daemon=True,
        )
        collector = BlobCollector(BlobCollection(parts.rows, parts.stores))

        def collect_blobs(held: HeldLease) -> None:
            collector.run(held.stop)

        collecting = threading.Thread(
            target=run_under_lease,
            args=(leases, blob_collector.DUTY, collect_blobs),
            kwargs={"owner": owner, "stop": child.stop},
            name="blobs",
            daemon=True,
        )
        keeper.start()
        collecting.start()
        parts.policy.wait_ready(POLICY_PATIENCE)
        child.ready()
        engine.run(child.stop)
        keeper.join()
        collecting.join()


@dataclass(frozen=True, slots=True)
class Parts:
    """What both kinds of process are made from."""

    db: Database
    rows: SqlUnitOfWork
    clock: Clock
    stores: StorePool
    blobs: BlobSourceTable
    policy: PolicyRuntime
    rights: PolicyRights
    results: RetryResults
    telemetry: Telemetry


def open_parts(config: Config, stack: ExitStack, telemetry: Telemetry) -> Parts:
    """Open the database, the stores and the policy."""
    db = Database.open(config.database_url)
    stack.callback(db.close)
    check_schema(db, REVISION)
    clock = SystemClock()
    stores = StorePool(
        clock,
        root=config.store_root,
        margin_bytes=config.store_margin_bytes,
        source_stores=config.source_stores,
    )
    stack.callback(stores.close)
    policy = _policy(config, stack, telemetry)
    policy.start()
    stack.callback(policy.stop)
    return Parts(
        db=db,
        rows=SqlUnitOfWork(db),
        clock=clock,
        stores=stores,
        blobs=BlobSourceTable(db),
        policy=policy,
        rights=PolicyRights(policy.control),
        results=RetryResults(),
        telemetry=telemetry,
    )


def build_server(config: Config, parts: Parts, keys: KeySource, *, stack: ExitStack) -> AioServer:
    """Build the server of all proto services; on the running loop."""
    verifier = TokenVerifier(config.token_audience, [Issuer(config.token_issuer, keys)])
    tls = _tls(config)
    settings = ServerSettings(
        DOMAIN,
        client=Listen(config.client_listen, tls if config.client_tls else None),
        internal=Listen(config.internal_listen, tls),
        trust_domain=config.trust_domain,
        processes=config.servers,
        pools=PoolSizes.aio(),
        grace=config.grace_seconds,
    )
    guards = Guards(BearerAuthenticator(verifier), parts.policy.control)
    server = AioServer(settings, guards, parts.telemetry)
    dependencies = _dependencies(config, parts, stack)
    for service, factory in FACTORIES.items():
        server.register(service, factory(dependencies))
    return server


def build_engine(config: Config, parts: Parts, owner: str) -> Engine:
    """Build what copies."""
    settings = EngineSettings(
        lease=timedelta(seconds=config.lease_seconds),
        time_budget=timedelta(hours=config.time_budget_hours),
        attempts=config.copy_attempts,
        region_copies=config.region_concurrent_copies,
        options=CopyOptions(
            workers=config.copy_readers,
            window_bytes=config.copy_window_bytes,
            window_seconds=config.copy_window_seconds,
            verify=VerifyPolicy(config.verify),
        ),
    )
    origins = Origins(parts.rows, parts.blobs)
    claims = Claims(parts.rows, origins, parts.results, settings)
    tasks = Tasks(parts.rows, parts.results, settings)
    copier = CopyReplica(tasks, origins, parts.stores, parts.rights)
    return Engine(
        claims,
        tasks,
        copier,
        owner=owner,
        threads=config.copy_threads,
        tracer=parts.telemetry.tracer,
    )


def _dependencies(config: Config, parts: Parts, stack: ExitStack) -> Dependencies:
    log = FeedReader(parts.db, parts.clock)
    tail = FeedTail(log, feed_codec(feed_item))
    stack.callback(tail.close)
    hub = WatchHub(parts.rows, parts.db.data_version)
    stack.callback(hub.close)
    actions = ReplicationActions(
        parts.rows,
        parts.results,
        parts.rights,
        time_budget=timedelta(hours=config.time_budget_hours),
    )

    def cancel_operation(connection: Any, operation: str) -> None:
        actions.cancel_operation(SqlTx(connection, parts.rows), operation)

    return Dependencies(
        config=config,
        db=parts.db,
        rows=parts.rows,
        operations=parts.rows.operation_store,
        results=parts.results,
        page_tokens=PageTokens(config.page_token_secret.encode()),
        clock=parts.clock,
        control=parts.policy.control,
        stores=parts.stores,
        blobs=parts.blobs,
        grants=GrantReader(config.grant_keys, parts.clock),
        rights=parts.rights,
        audit=AuthzAudit(_audit_channel(config, stack), parts.clock),
        hub=hub,
        feed=FeedSource(tail, parts.rows, log.epoch_of),
        cancel_operation=cancel_operation,
    )


def _audit_channel(config: Config, stack: ExitStack) -> ServiceChannel:
    channel = ServiceChannel(config.authz_address, _tls(config), services=[AUDIT_SERVICE])
    stack.callback(channel.close)
    return channel


def _policy(config: Config, stack: ExitStack, telemetry: Telemetry) -> PolicyRuntime:
    tls = _tls(config)
    feed = ServiceChannel(
        config.authz_feed_address,
        tls,
        services=["stoa.authz.v1.PolicyFeedService"],
        telemetry=telemetry,
    )
    stack.callback(feed.close)
    questions = ServiceChannel(
        config.authz_address,
        tls,
        services=["stoa.authz.v1.AuthorizationService"],
        telemetry=telemetry,
    )
    stack.callback(questions.close)
    return PolicyRuntime(feed, questions, name=SERVICE, own_issuer=config.token_issuer)


def _forget(rows: SqlUnitOfWork) -> None:
    rows.db.transact(rows.request_log.purge)
    rows.db.transact(rows.operation_store.purge)


def _telemetry(config: Config, stack: ExitStack) -> Telemetry:
    telemetry = Telemetry.from_environment(SERVICE, log_level=config.log_level)
    stack.callback(telemetry.close)
    return telemetry


def _tls(config: Config) -> TlsFiles:
    return TlsFiles(config.tls_certificate, config.tls_key, config.tls_authorities)
