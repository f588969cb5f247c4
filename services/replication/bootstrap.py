"""Puts the replication service together; every process begins here."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from stoa.authz.v1 import authorization_service_pb2

from services.kernel.child import Child
from services.kernel.clock import Clock, SystemClock
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.db.leases import HeldLease, Leases, run_under_lease
from services.kernel.db.migrations import migrate
from services.kernel.feed.stream import FeedTail
from services.kernel.ids import new_uid
from services.kernel.paging import PageTokens
from services.kernel.program import Program
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.identity import Authenticator
from services.kernel.rpc.listeners import Guards
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.serving import (
    open_channel,
    open_database,
    open_telemetry,
    open_users,
    server_settings,
)
from services.kernel.stopping import Stop
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.runtime import PolicyRuntime, open_policy
from services.replication.clients.audit import SERVICE as AUDIT_SERVICE
from services.replication.clients.audit import AuthzAudit
from services.replication.clients.grants import GrantReader
from services.replication.clients.rights import PolicyRights
from services.replication.clients.source_files import SourceFiles
from services.replication.clients.store_pool import StorePool
from services.replication.clients.throttle import TokenBucket
from services.replication.config import GIB, SERVICE, Config
from services.replication.content.progress import CopyOptions, VerifyPolicy
from services.replication.convert.common import DOMAIN
from services.replication.convert.operations import RetryResults
from services.replication.convert.verifications import VerifyResults
from services.replication.domain.source_stores import parse_source_stores
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.feed_tail import FeedSource, feed_codec
from services.replication.servicers.registry import FACTORIES
from services.replication.servicers.watch_hub import WatchHub
from services.replication.store import tables
from services.replication.store.blob_sources import BlobSourceTable
from services.replication.store.feed import FeedReader, feed_item, initialise
from services.replication.store.flows import Flows
from services.replication.store.reader_seats import LeasedSeats
from services.replication.store.schema import MIGRATIONS, REVISION
from services.replication.store.unit_of_work import SqlTx, SqlUnitOfWork
from services.replication.usecases.acting import ReplicationActions
from services.replication.usecases.blob_collection import BlobCollection
from services.replication.usecases.claims import Claims
from services.replication.usecases.collecting import CollectionSettings, ObjectCollection
from services.replication.usecases.copying import CopyReplica
from services.replication.usecases.damage import Damage
from services.replication.usecases.healing import Healing
from services.replication.usecases.origins import Origins
from services.replication.usecases.settings import EngineSettings
from services.replication.usecases.tasks import Tasks
from services.replication.usecases.verifying import Verifications, VerificationWork
from services.replication.workers import blob_collector, healer, object_collector
from services.replication.workers.blob_collector import BlobCollector
from services.replication.workers.engine import Engine
from services.replication.workers.healer import Healer, Scrub
from services.replication.workers.housekeeping import Housekeeping
from services.replication.workers.object_collector import ObjectCollector

# How long a process that starts waits for the policy before it serves without: it then answers
# UNAVAILABLE until it has one.
POLICY_PATIENCE: Final = 10.0
QUESTIONS_SERVICE: Final = authorization_service_pb2.DESCRIPTOR.services_by_name[
    "AuthorizationService"
].full_name


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
        servers=config.server_count(),
        workers=config.workers,
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
        telemetry = open_telemetry(config, SERVICE, stack)
        parts = open_parts(config, stack, telemetry)
        await asyncio.get_running_loop().run_in_executor(
            None, parts.policy.wait_ready, POLICY_PATIENCE
        )
        server = build_server(config, parts, open_users(config, stack), stack=stack)
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
        telemetry = open_telemetry(config, SERVICE, stack)
        parts = open_parts(config, stack, telemetry)
        place = child.place or new_uid()
        owner = f"{place}/{socket.gethostname()}:{os.getpid()}:{new_uid()}"
        engine = build_engine(config, parts, owner, place)
        leases = Leases(parts.db, tables.leases)
        # A process of some regions may not reach the stores of the others.
        duties = {} if config.worker_regions else build_duties(config, parts)
        keepers = [
            threading.Thread(
                target=run_under_lease,
                args=(leases, duty, _until_lost(run)),
                kwargs={"owner": owner, "stop": child.stop},
                name=duty,
                daemon=True,
            )
            for duty, run in duties.items()
        ]
        for keeper in keepers:
            keeper.start()
        parts.policy.wait_ready(POLICY_PATIENCE)
        child.ready()
        engine.run(child.stop)
        for keeper in keepers:
            keeper.join()


@dataclass(frozen=True, slots=True)
class Parts:
    """What both kinds of process are made from."""

    db: Database
    rows: SqlUnitOfWork
    clock: Clock
    stores: StorePool
    files: SourceFiles
    blobs: BlobSourceTable
    policy: PolicyRuntime
    authz: ServiceChannel
    rights: PolicyRights
    results: RetryResults
    telemetry: Telemetry


def open_parts(config: Config, stack: ExitStack, telemetry: Telemetry) -> Parts:
    """Open the database, the stores and the policy."""
    db = open_database(config, REVISION, stack)
    clock = SystemClock()
    stores = StorePool(
        clock,
        Flows(db, clock),
        root=config.store_root,
        margin_bytes=config.store_margin_bytes,
    )
    stack.callback(stores.close)
    authz = open_channel(
        config,
        config.authz_address,
        [QUESTIONS_SERVICE, AUDIT_SERVICE],
        stack=stack,
        telemetry=telemetry,
    )
    policy = open_policy(config, SERVICE, authz, stack=stack, telemetry=telemetry)
    return Parts(
        db=db,
        rows=SqlUnitOfWork(db),
        clock=clock,
        stores=stores,
        files=SourceFiles(parse_source_stores(config.source_stores)),
        blobs=BlobSourceTable(db),
        policy=policy,
        authz=authz,
        rights=PolicyRights(policy.control),
        results=RetryResults(),
        telemetry=telemetry,
    )


def build_server(
    config: Config, parts: Parts, users: Authenticator, *, stack: ExitStack
) -> AioServer:
    """Build the server of all proto services; on the running loop."""
    settings = server_settings(config, DOMAIN, pools=PoolSizes.aio())
    guards = Guards(users, parts.policy.control)
    server = AioServer(settings, guards, parts.telemetry)
    dependencies = _dependencies(config, parts, stack)
    for service, factory in FACTORIES.items():
        server.register(service, factory(dependencies))
    return server


def build_engine(config: Config, parts: Parts, owner: str, place: str) -> Engine:
    """Build what copies, and take over from whoever was in the same place before."""
    settings = EngineSettings(
        lease=timedelta(seconds=config.lease_seconds),
        time_budget=timedelta(hours=config.time_budget_hours),
        attempts=config.copy_attempts,
        region_copies=config.region_concurrent_copies,
        full_disk_bytes=config.max_full_disk_gib * GIB,
        shallow_disk_bytes=config.max_shallow_disk_gib * GIB,
        options=CopyOptions(
            workers=config.copy_readers,
            window_bytes=config.copy_window_bytes,
            window_seconds=config.copy_window_seconds,
            verify=VerifyPolicy(config.verify),
        ),
    )
    origins = Origins(parts.rows, parts.blobs)
    locations = config.worker_regions
    claims = Claims(parts.rows, origins, parts.results, settings, locations=locations)
    claims.take_over(place)
    tasks = Tasks(parts.rows, parts.results, settings)
    copier = CopyReplica(tasks, origins, parts.stores, parts.rights, files=parts.files)
    return Engine(
        claims,
        tasks,
        copier,
        owner=owner,
        threads=config.copy_threads,
        tracer=parts.telemetry.tracer,
    )


def build_duties(config: Config, parts: Parts) -> dict[str, Callable[[Stop], None]]:
    """Build what one of all workers processes does at a time, by the name of its lease."""
    housekeeping = Housekeeping(
        parts.rows,
        parts.stores,
        lambda: _forget(parts.rows),
        retention=timedelta(days=config.event_retention_days),
    )
    duties: dict[str, Callable[[Stop], None]] = {
        "housekeeping": housekeeping.run,
        blob_collector.DUTY: BlobCollector(BlobCollection(parts.rows, parts.stores)).run,
        healer.DUTY: build_healer(config, parts).run,
    }
    if config.collect_interval_hours > 0:
        duties[object_collector.DUTY] = build_collector(config, parts).run
    return duties


def _until_lost(run: Callable[[Stop], None]) -> Callable[[HeldLease], None]:
    return lambda held: run(held.stop)


def build_healer(config: Config, parts: Parts) -> Healer:
    """Build what keeps replicas good."""
    healing = Healing(parts.rows, parts.stores, parts.results)
    scrub = None
    if config.scrub_interval_days > 0:
        scrub = Scrub(
            parts.rows,
            healing,
            interval=timedelta(days=config.scrub_interval_days),
            pace=TokenBucket(config.scrub_bytes_per_second).take,
        )
    return Healer(healing, VerificationWork(parts.rows, healing, VerifyResults()), scrub)


def build_collector(config: Config, parts: Parts) -> ObjectCollector:
    """Build what collects objects."""
    settings = CollectionSettings(
        timedelta(hours=config.collect_grace_hours), config.collect_most_percent
    )
    damage = Damage(parts.rows, parts.results)
    collection = ObjectCollection(parts.rows, parts.stores, damage, settings)
    return ObjectCollector(collection, every=config.collect_interval_hours * 3600)


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

    verifications = Verifications(parts.rows, VerifyResults())

    def cancel_operation(connection: Any, operation: str) -> None:
        tx = SqlTx(connection, parts.rows)
        if not verifications.cancel(tx, operation):
            actions.cancel_operation(tx, operation)

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
        files=parts.files,
        blobs=parts.blobs,
        grants=GrantReader(config.grant_keys, parts.clock),
        rights=parts.rights,
        seats=LeasedSeats(parts.db, seats=config.shallow_readers),
        audit=AuthzAudit(parts.authz, parts.clock),
        verifications=verifications,
        hub=hub,
        feed=FeedSource(tail, parts.rows, log.epoch_of),
        cancel_operation=cancel_operation,
    )


def _forget(rows: SqlUnitOfWork) -> None:
    rows.db.transact(rows.request_log.purge)
    rows.db.transact(rows.operation_store.purge)
