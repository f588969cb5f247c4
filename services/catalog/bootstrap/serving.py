"""A process that serves calls."""

from contextlib import ExitStack

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

from services.catalog.bootstrap.foundation import Foundation, open_foundation
from services.catalog.clients import authz, replication
from services.catalog.clients.blobs import ReplicationBlobHolds
from services.catalog.clients.policy import PolicySubscriptions
from services.catalog.clients.sharing import AuthzSharing
from services.catalog.config import SERVICE, Config
from services.catalog.convert.operations import DOMAIN
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.registry import FACTORIES
from services.catalog.store import tables
from services.catalog.store.reading import StoreReaders
from services.catalog.store.regions import StoredRegions
from services.catalog.store.usage import StoredUsage
from services.kernel.child import Child
from services.kernel.db.request_log import RequestLog
from services.kernel.paging import PageTokens
from services.kernel.rpc.identity import Authenticator
from services.kernel.rpc.listeners import Guards
from services.kernel.rpc.server import Server
from services.kernel.rpc.serving import open_users, server_settings
from services.policy.access_control import PolicyAccessControl
from services.policy.runtime import open_policy


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
