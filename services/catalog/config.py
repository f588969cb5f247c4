"""The settings of the catalog service."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.kernel.config import between, one_of, setting

SERVICE: Final = "catalog"


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting; section [catalog] of the file, variables STOA_CATALOG_*."""

    client_listen: str = setting("127.0.0.1:7401", doc="Address of the client listener.")
    client_tls: bool = setting(
        False, doc="Whether the client listener uses TLS; without it, only loopback is allowed."
    )
    internal_listen: str = setting(
        "127.0.0.1:7411", doc="Address of the listener for services, always with mutual TLS."
    )
    tls_certificate: Path = setting(doc="PEM file with the certificate of this workload.")
    tls_key: Path = setting(doc="PEM file with the key of that certificate.")
    tls_authorities: Path = setting(doc="PEM file with the authorities of other workloads.")
    trust_domain: str = setting("stoa", doc="Trust domain of the SPIFFE ids of workloads.")
    token_issuer: str = setting(doc="The `iss` of accepted bearer tokens.")
    token_keys: str = setting(doc="The issuer's JWK set: a file, or an https URL.")
    token_audience: str = setting(
        "catalog.stoa.dev", doc="The `aud` that a bearer token must have."
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
    replication_address: str = setting(
        "localhost:7412", doc="Where the replication service listens for services."
    )
    grant_key: Path = setting(
        doc="PEM file with the P-256 key that signs operation grants; replication knows its half."
    )
    servers: int = setting(
        1, doc="How many server processes share the listeners.", check=between(1, 64)
    )
    max_full_disk_gib: int = setting(
        2048, doc="The largest disk of a fully replicated version, in GiB.", check=between(1, 65536)
    )
    max_shallow_disk_gib: int = setting(
        32768, doc="The largest disk of a shallow version, in GiB.", check=between(1, 65536)
    )
    lease_seconds: float = setting(
        10.0,
        doc="How long a duty stays with a workers process that does not answer.",
        check=between(0.5, 3600),
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
