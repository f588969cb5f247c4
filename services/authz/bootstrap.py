"""Puts the authz service together; every process begins here."""

import asyncio
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from stoa.authz.v1 import (  # noqa: F401 - their services are served by name
    audit_service_pb2,
    authorization_service_pb2,
    deny_assignment_service_pb2,
    directory_service_pb2,
    eligible_assignment_service_pb2,
    policy_feed_service_pb2,
    role_assignment_service_pb2,
    role_definition_service_pb2,
    scope_service_pb2,
    sharing_service_pb2,
)

from services.authz.access import HeadAccessControl
from services.authz.config import SERVICE, Config
from services.authz.convert import changes, entries
from services.authz.servicers.audit import AuditServicer
from services.authz.servicers.authorization import AuthorizationServicer
from services.authz.servicers.deny_assignments import DenyAssignmentServicer
from services.authz.servicers.directory import DirectoryServicer
from services.authz.servicers.eligible_assignments import EligibleAssignmentServicer
from services.authz.servicers.feed import PolicyFeedServicer
from services.authz.servicers.proposing import Proposals
from services.authz.servicers.role_assignments import RoleAssignmentServicer
from services.authz.servicers.role_definitions import RoleDefinitionServicer
from services.authz.servicers.scopes import ScopeServicer
from services.authz.servicers.sharing import SharingServicer
from services.authz.servicers.simulator import Simulator
from services.authz.servicers.writing import Context
from services.authz.store.opening import Stores, open_stores
from services.authz.store.schema import MIGRATIONS, REVISION
from services.authz.usecases.bootstrap import Seed, seed
from services.authz.usecases.digests import SimulationDigests
from services.authz.usecases.limits import Limits, ScopeLimit
from services.authz.workers.housekeeping import Housekeeping
from services.kernel.child import Child
from services.kernel.clock import SystemClock
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate
from services.kernel.paging import PageTokens
from services.kernel.program import Program
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.identity import Authenticator, BearerAuthenticator
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.server import Server
from services.kernel.rpc.serving import (
    open_database,
    open_telemetry,
    open_users,
    server_settings,
    tls_files,
)
from services.kernel.rpc.tokens import TokenVerifier
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.callers import Callers

DOMAIN: Final = "authz.stoa.dev"
FEED: Final = "feed"

_LOG = logging.getLogger(__name__)


def program(file: Path | None) -> Program:
    """Make the program from its settings.

    Raises:
        ConfigError: they are wrong.
    """
    config = load(Config, SERVICE, file=file)
    return Program(
        migrate=lambda: prepare(config),
        serve=lambda child: serve(config, child),
        work=lambda child: work(config, child),
        servers=config.server_count(),
        grace=config.grace_seconds + 5,
        config=config,
        others={FEED: lambda child: asyncio.run(feed(config, child))},
    )


def prepare(config: Config) -> None:
    """Migrate the database, and write the seed into an empty one."""
    migrate(config.database_url, MIGRATIONS)
    with Database.open(config.database_url) as db:
        wanted = Seed(
            config.bootstrap_tenant, config.bootstrap_subscription, config.bootstrap_owner
        )
        if seed(stores_of(db).policy, wanted):
            _LOG.info("the policy begins with tenant %s", wanted.tenant)


def serve(config: Config, child: Child) -> None:
    """Serve unary calls until the child is told to stop."""
    with ExitStack() as stack:
        telemetry = open_telemetry(config, SERVICE, stack)
        stores = _stores(config, stack)
        stack.callback(stores.decisions.close)
        server = build_server(config, stores, open_users(config, stack), telemetry)
        ports = server.start()
        child.ready(**{audience.value: port for audience, port in ports.items()})
        child.stop.wait()
        server.stop()


async def feed(config: Config, child: Child) -> None:
    """Serve the policy feed until the child is told to stop."""
    with ExitStack() as stack:
        telemetry = open_telemetry(config, SERVICE, stack)
        stores = _stores(config, stack)
        server, servicer = build_feed(config, stores, telemetry)
        stack.callback(servicer.close)
        ports = await server.start()
        for port in ports.values():
            child.ready(feed=port)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        child.stop.on_set(lambda: loop.call_soon_threadsafe(stopped.set))
        await stopped.wait()
        await server.stop()


def work(config: Config, child: Child) -> None:
    """Keep the database in bounds until the child is told to stop."""
    with ExitStack() as stack:
        open_telemetry(config, SERVICE, stack)
        stores = _stores(config, stack)
        housekeeping = Housekeeping(
            stores.upkeep, stores.policy, stores.clock, retention=config.log_retention_seconds
        )
        child.ready()
        housekeeping.run(child.stop)


def build_server(
    config: Config, stores: Stores, users: Authenticator, telemetry: Telemetry | None = None
) -> Server:
    """Build the server of all unary services, on the client and the internal listener."""
    clock = SystemClock()
    callers = Callers(config.token_issuer)
    control = HeadAccessControl(stores.head, callers, stores.policy.installation(), clock=clock)
    guards = Guards(users, control)
    server = Server(server_settings(config, DOMAIN), guards, telemetry)
    secret = config.page_token_secret.encode()
    context = Context(
        stores.policy,
        control,
        stores.replicas,
        PageTokens(secret),
        stores.head.current,
        clock.now,
    )
    limits = limits_of(config)
    issuers = frozenset({config.token_issuer, *config.trusted_issuers})
    digests = SimulationDigests(secret)
    proposals = Proposals(context, lambda context: administration(context, limits, issuers))
    simulator = Simulator(context, proposals, limits, digests)
    servicers: dict[str, object] = {
        **administration(context, limits, issuers),
        "AuthorizationService": AuthorizationServicer(
            context, stores.head, stores.decisions, simulator=simulator
        ),
        "SharingService": SharingServicer(context, limits, digests),
        "ScopeService": ScopeServicer(context),
        "AuditService": AuditServicer(context, stores.audit),
    }
    for name, servicer in servicers.items():
        server.register(f"stoa.authz.v1.{name}", servicer)
    return server


def administration(context: Context, limits: Limits, issuers: frozenset[str]) -> dict[str, object]:
    """Build the servicers of what administrators write, which can be proposed as well."""
    return {
        "RoleDefinitionService": RoleDefinitionServicer(context, limits),
        "RoleAssignmentService": RoleAssignmentServicer(context, limits),
        "DenyAssignmentService": DenyAssignmentServicer(context, limits),
        "EligibleAssignmentService": EligibleAssignmentServicer(context, limits),
        "DirectoryService": DirectoryServicer(context, limits, issuers),
    }


def build_feed(
    config: Config, stores: Stores, telemetry: Telemetry | None = None
) -> tuple[AioServer, PolicyFeedServicer]:
    """Build the server of the feed; on the running loop."""
    clock = SystemClock()
    control = HeadAccessControl(
        stores.head, Callers(config.token_issuer), stores.policy.installation(), clock=clock
    )
    settings = ServerSettings(
        DOMAIN,
        internal=Listen(config.feed_listen, tls_files(config)),
        trust_domain=config.trust_domain,
        pools=PoolSizes.aio(),
        grace=config.grace_seconds,
    )
    # Nobody but services reaches the feed, so that no token is ever read there.
    users = BearerAuthenticator(TokenVerifier(config.token_audience, []))
    server = AioServer(settings, Guards(users, control), telemetry)
    servicer = PolicyFeedServicer(stores.feed, stores.replicas, stores.policy.token, clock)
    server.register("stoa.authz.v1.PolicyFeedService", servicer)
    return server, servicer


def limits_of(config: Config) -> Limits:
    """Answer the limits that the settings say."""
    return Limits(
        role_assignments=ScopeLimit(
            config.max_role_assignments_per_subscription, config.max_role_assignments_above
        ),
        activations=config.max_activations,
        deny_assignments=ScopeLimit(
            config.max_deny_assignments_per_subscription, config.max_deny_assignments_above
        ),
        role_definitions=config.max_role_definitions,
        group_members=config.max_group_members,
        group_nesting=config.max_group_nesting,
        shared_subscriptions=config.max_shared_subscriptions,
        shared_tenants=config.max_shared_tenants,
        blocked_consumers=config.max_blocked_consumers,
    )


def stores_of(db: Database) -> Stores:
    """Build the stores over a database."""
    return open_stores(db, changes.entry, entries.decode, SystemClock())


def _stores(config: Config, stack: ExitStack) -> Stores:
    return stores_of(open_database(config, REVISION, stack))
