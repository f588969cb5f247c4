"""The settings of the replication service."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from services.kernel.config import between, one_of, setting
from services.policy.config import PolicyConfig
from services.replication.domain.source_stores import source_stores_problem

SERVICE: Final = "replication"
_MIB: Final = 1 << 20
GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Config(PolicyConfig):
    """Every setting; section [replication] of the file, variables STOA_REPLICATION_*."""

    client_listen: str = setting("127.0.0.1:7402", doc="Address of the client listener.")
    internal_listen: str = setting(
        "127.0.0.1:7412", doc="Address of the listener for services, always with mutual TLS."
    )
    token_audience: str = setting(
        "replication.stoa.dev", doc="The `aud` that a bearer token must have."
    )
    servers: int = setting(
        1,
        doc="How many server processes share the listeners, each pinned to a core. 0: one a core.",
        check=between(0, 64),
    )
    grant_keys: Path = setting(
        doc="JWK set file with the keys registered for the catalog's operation grants."
    )
    store_root: Path | None = setting(
        None,
        doc="Directory below which stores at file:/// URLs must lie. Empty: anywhere.",
    )
    store_margin_bytes: int = setting(
        64 * _MIB,
        doc="Bytes of a file system with a store that are never promised to a copy.",
        check=between(0, 1 << 50),
    )
    source_stores: Mapping[str, str] = setting(
        MappingProxyType({}),
        doc="Stores whose files may be sources, by the name that a storage account gives: "
        '`NAME = "REGION URL"`, the id of the region that the files are in and a file:///, s3://, '
        "gs:// or az:// URL. Credentials stand before the @ of a URL or in the environment.",
        check=source_stores_problem,
    )
    workers: int = setting(
        1,
        doc="How many workers processes the service has. 0: those that `stoa worker` runs beside "
        "it, one of them for all regions.",
        check=between(0, 64),
    )
    worker_regions: tuple[str, ...] = setting(
        (),
        doc="The ids of the regions that its workers processes copy into. Empty: all, and what "
        "else there is to be done: collecting, verifying, repairing.",
    )
    copy_threads: int = setting(
        4, doc="How many replicas a workers process copies at once.", check=between(1, 256)
    )
    copy_readers: int = setting(
        4, doc="Threads that read, hash and write one disk.", check=between(1, 64)
    )
    copy_window_bytes: int = setting(
        256 * _MIB,
        doc="Bytes that become durable together; what is copied again after a crash.",
        check=between(4 * _MIB, 1 << 40),
    )
    copy_window_seconds: float = setting(
        2.0, doc="Seconds after which a window ends early.", check=between(0.05, 3600)
    )
    upload_idle_seconds: float = setting(
        60.0,
        doc="How long an upload may be silent until its place is given to another one.",
        check=between(0.05, 3600),
    )
    max_full_disk_gib: int = setting(
        2048,
        doc="The largest disk of a version that is copied, in GiB.",
        check=between(1, 65536),
    )
    max_shallow_disk_gib: int = setting(
        32768, doc="The largest disk of a shallow version, in GiB.", check=between(1, 65536)
    )
    shallow_readers: int = setting(
        8,
        doc="How many read one shallow version at once; others are told to come later.",
        check=between(1, 1024),
    )
    verify: str = setting(
        "full",
        doc="How much of what was written is read back before it counts: full, sample or none.",
        check=one_of("full", "sample", "none"),
    )
    region_concurrent_copies: int = setting(
        4,
        doc="Disks copied into one region at once, where the region has no limit of its own.",
        check=between(1, 1024),
    )
    lease_seconds: float = setting(
        30.0,
        doc="How long a copy stays with a workers process that does not answer.",
        check=between(0.5, 3600),
    )
    time_budget_hours: float = setting(
        24.0,
        doc="How long a replica may take, waits included, until it counts as failed.",
        check=between(0.001, 24 * 365),
    )
    copy_attempts: int = setting(
        8, doc="Attempts of a replica that meets errors of its medium.", check=between(1, 100)
    )
    scrub_interval_days: float = setting(
        30.0,
        doc="How often every disk of every replica is read back and compared with its digests, "
        "without being asked for. 0: never.",
        check=between(0, 3650),
    )
    scrub_bytes_per_second: int = setting(
        64 * _MIB,
        doc="Bytes that are read per second, at most, for that.",
        check=between(_MIB, 1 << 40),
    )
    collect_interval_hours: float = setting(
        6.0,
        doc="How often objects that nothing refers to are looked for in every store. 0: never.",
        check=between(0, 24 * 365),
    )
    collect_grace_hours: float = setting(
        24.0,
        doc="How old such an object is before it is put on a list of what goes, and how long the "
        "list then waits.",
        check=between(0.001, 24 * 365),
    )
    collect_most_percent: int = setting(
        50,
        doc="The most of a store, in percent of its bytes, that may go at once; beyond it nothing "
        "is collected there and the log says so.",
        check=between(1, 100),
    )
    event_retention_days: float = setting(
        30.0,
        doc="How long the events of ended replications, and the feed, are kept.",
        check=between(0.001, 3650),
    )
