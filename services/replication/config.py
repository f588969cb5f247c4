"""The settings of the replication service."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from services.kernel.config import between, one_of, setting

SERVICE: Final = "replication"
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting; section [replication] of the file, variables STOA_REPLICATION_*."""

    client_listen: str = setting("127.0.0.1:7402", doc="Address of the client listener.")
    client_tls: bool = setting(
        False, doc="Whether the client listener uses TLS; without it, only loopback is allowed."
    )
    internal_listen: str = setting(
        "127.0.0.1:7412", doc="Address of the listener for services, always with mutual TLS."
    )
    tls_certificate: Path = setting(doc="PEM file with the certificate of this workload.")
    tls_key: Path = setting(doc="PEM file with the key of that certificate.")
    tls_authorities: Path = setting(doc="PEM file with the authorities of other workloads.")
    trust_domain: str = setting("stoa", doc="Trust domain of the SPIFFE ids of workloads.")
    token_issuer: str = setting(doc="The `iss` of accepted bearer tokens.")
    token_keys: str = setting(doc="The issuer's JWK set: a file, or an https URL.")
    token_audience: str = setting(
        "replication.stoa.dev", doc="The `aud` that a bearer token must have."
    )
    database_url: str = setting(
        doc="sqlite:///<path> or postgresql://<user>:<password>@<host>/<database>."
    )
    page_token_secret: str = setting(
        doc="Signs page tokens; the same in all processes, at least 16 characters.", secret=True
    )
    authz_address: str = setting(
        "localhost:7413", doc="Where the authz service listens for services."
    )
    authz_feed_address: str = setting(
        "localhost:7404", doc="Where the authz service serves the policy feed."
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
        doc="Directories whose files may be sources, by the entry that names them.",
    )
    servers: int = setting(
        1, doc="How many server processes share the listeners.", check=between(1, 64)
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
    event_retention_days: float = setting(
        30.0,
        doc="How long the events of ended replications, and the feed, are kept.",
        check=between(0.001, 3650),
    )
    grace_seconds: float = setting(
        10.0, doc="What running calls get when a server goes down.", check=between(0, 600)
    )
    log_level: str = setting(
        "INFO", doc="Least level of logs.", check=one_of("DEBUG", "INFO", "WARNING", "ERROR")
    )

    def problems(self) -> Iterator[str]:
        """Say what is wrong with the settings taken together."""
        if len(self.page_token_secret) < 16:
            yield "page_token_secret: has at least 16 characters"
