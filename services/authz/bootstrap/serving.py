"""A process that serves unary calls."""

from contextlib import ExitStack

from stoa.authz.v1 import (  # noqa: F401 - their services are served by name
    audit_service_pb2,
    authorization_service_pb2,
    deny_assignment_service_pb2,
    directory_service_pb2,
    eligible_assignment_service_pb2,
    role_assignment_service_pb2,
    role_definition_service_pb2,
    scope_service_pb2,
    sharing_service_pb2,
)

from services.authz.access import HeadAccessControl
from services.authz.bootstrap.stores import open_stores_of
from services.authz.config import DOMAIN, SERVICE, Config
from services.authz.servicers.audit import AuditServicer
from services.authz.servicers.authorization import AuthorizationServicer
from services.authz.servicers.deny_assignments import DenyAssignmentServicer
from services.authz.servicers.directory import DirectoryServicer
from services.authz.servicers.eligible_assignments import EligibleAssignmentServicer
from services.authz.servicers.proposing import Proposals
from services.authz.servicers.role_assignments import RoleAssignmentServicer
from services.authz.servicers.role_definitions import RoleDefinitionServicer
from services.authz.servicers.scopes import ScopeServicer
from services.authz.servicers.sharing import SharingServicer
from services.authz.servicers.simulator import Simulator
from services.authz.servicers.writing import Context
from services.authz.store.opening import Stores
from services.authz.usecases.digests import SimulationDigests
from services.authz.usecases.limits import Limits, ScopeLimit
from services.kernel.child import Child
from services.kernel.clock import SystemClock
from services.kernel.paging import PageTokens
from services.kernel.rpc.identity import Authenticator
from services.kernel.rpc.listeners import Guards
from services.kernel.rpc.server import Server
from services.kernel.rpc.serving import open_telemetry, open_users, server_settings
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.callers import Callers


def serve(config: Config, child: Child) -> None:
    """Serve unary calls until the child is told to stop."""
    with ExitStack() as stack:
        telemetry = open_telemetry(config, SERVICE, stack)
        stores = open_stores_of(config, stack)
        stack.callback(stores.decisions.close)
        server = build_server(config, stores, open_users(config, stack), telemetry)
        ports = server.start()
        child.ready(**{audience.value: port for audience, port in ports.items()})
        child.stop.wait()
        server.stop()


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
