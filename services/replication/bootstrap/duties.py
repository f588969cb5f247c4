"""What one of all workers processes does at a time."""

from collections.abc import Callable
from datetime import timedelta

from services.kernel.stopping import Stop
from services.replication.bootstrap.parts import Parts
from services.replication.clients.throttle import TokenBucket
from services.replication.config import Config
from services.replication.convert.verifications import VerifyResults
from services.replication.store.unit_of_work import SqlUnitOfWork
from services.replication.usecases.blob_collection import BlobCollection
from services.replication.usecases.collecting import CollectionSettings, ObjectCollection
from services.replication.usecases.damage import Damage
from services.replication.usecases.healing import Healing
from services.replication.usecases.reachability import Reachability
from services.replication.usecases.verifying import VerificationWork
from services.replication.workers import blob_collector, healer, object_collector
from services.replication.workers.blob_collector import BlobCollector
from services.replication.workers.healer import Healer, Scrub
from services.replication.workers.housekeeping import Housekeeping
from services.replication.workers.object_collector import ObjectCollector


def build_duties(config: Config, parts: Parts) -> dict[str, Callable[[Stop], None]]:
    """Build what one of all workers processes does at a time, by the name of its lease."""
    housekeeping = Housekeeping(
        parts.rows,
        parts.stores,
        Reachability(parts.rows, parts.stores, parts.results),
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


def _forget(rows: SqlUnitOfWork) -> None:
    rows.db.transact(rows.request_log.purge)
    rows.db.transact(rows.operation_store.purge)
