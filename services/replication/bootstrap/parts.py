"""What servers and workers are both made from."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from stoa.authz.v1 import authorization_service_pb2

from services.kernel.clock import Clock, SystemClock
from services.kernel.db.engine import Database
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.serving import (
    open_channel,
    open_database,
)
from services.kernel.telemetry.telemetry import Telemetry
from services.policy.runtime import PolicyRuntime, open_policy
from services.replication.clients.audit import SERVICE as AUDIT_SERVICE
from services.replication.clients.rights import PolicyRights
from services.replication.clients.source_files import SourceFiles
from services.replication.clients.store_pool import StorePool
from services.replication.config import SERVICE, Config
from services.replication.convert.operations import RetryResults
from services.replication.domain.source_stores import parse_source_stores
from services.replication.store.blob_sources import BlobSourceTable
from services.replication.store.flows import Flows
from services.replication.store.schema import REVISION
from services.replication.store.unit_of_work import SqlUnitOfWork

# How long a process that starts waits for the policy before it serves without: it then answers
# UNAVAILABLE until it has one.
POLICY_PATIENCE: Final = 10.0
QUESTIONS_SERVICE: Final = authorization_service_pb2.DESCRIPTOR.services_by_name[
    "AuthorizationService"
].full_name


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
