"""A process that serves calls."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from services.kernel.child import Child
from services.kernel.feed.stream import FeedTail
from services.kernel.paging import PageTokens
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.identity import Authenticator
from services.kernel.rpc.listeners import Guards
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.serving import (
    open_telemetry,
    open_users,
    server_settings,
)
from services.replication.bootstrap.parts import POLICY_PATIENCE, Parts, open_parts
from services.replication.clients.audit import AuthzAudit
from services.replication.clients.grants import GrantReader
from services.replication.config import SERVICE, Config
from services.replication.convert.common import DOMAIN
from services.replication.convert.verifications import VerifyResults
from services.replication.servicers.dependencies import Dependencies
from services.replication.servicers.feed_tail import FeedSource, feed_codec
from services.replication.servicers.registry import FACTORIES
from services.replication.servicers.watch_hub import WatchHub
from services.replication.store.feed import FeedReader, feed_item
from services.replication.store.reader_seats import LeasedSeats
from services.replication.store.unit_of_work import SqlTx
from services.replication.usecases.acting import ReplicationActions
from services.replication.usecases.verifying import Verifications


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
