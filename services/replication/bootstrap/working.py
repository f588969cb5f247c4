"""A process that copies."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

from services.kernel.child import Child
from services.kernel.db.leases import HeldLease, Leases, run_under_lease
from services.kernel.ids import new_uid
from services.kernel.rpc.serving import (
    open_telemetry,
)
from services.kernel.stopping import Stop
from services.replication.bootstrap.duties import build_duties
from services.replication.bootstrap.parts import POLICY_PATIENCE, Parts, open_parts
from services.replication.config import GIB, SERVICE, Config
from services.replication.content.progress import CopyOptions, VerifyPolicy
from services.replication.store import tables
from services.replication.usecases.claims import Claims
from services.replication.usecases.copying import CopyReplica
from services.replication.usecases.origins import Origins
from services.replication.usecases.settings import EngineSettings
from services.replication.usecases.tasks import Tasks
from services.replication.workers.engine import Engine


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


def _until_lost(run: Callable[[Stop], None]) -> Callable[[HeldLease], None]:
    return lambda held: run(held.stop)
