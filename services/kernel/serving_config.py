"""The settings that every service has: where it listens, as whom, whose tokens it takes."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from services.kernel.addresses import is_loopback
from services.kernel.config import between, one_of, setting
from services.kernel.trusted_issuers import trusted_issuers_problem

MIN_SECRET: Final = 16


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """What the configuration of a service begins with; a service gives its own ports."""

    client_listen: str = setting(doc="Address of the client listener.")
    client_tls: bool = setting(
        False, doc="Whether the client listener uses TLS; without it, only loopback is allowed."
    )
    internal_listen: str = setting(
        doc="Address of the listener for services, always with mutual TLS."
    )
    tls_certificate: Path = setting(doc="PEM file with the certificate of this workload.")
    tls_key: Path = setting(doc="PEM file with the key of that certificate.")
    tls_authorities: Path = setting(doc="PEM file with the authorities of other workloads.")
    trust_domain: str = setting("stoa", doc="Trust domain of the SPIFFE ids of workloads.")
    token_issuer: str = setting(doc="The `iss` of accepted bearer tokens.")
    token_keys: str = setting(doc="The issuer's JWK set: a file, or an https URL.")
    trusted_issuers: Mapping[str, str] = setting(
        MappingProxyType({}),
        doc="Other issuers whose tokens are accepted, each for its tenants alone: "
        '`ISSUER = "TENANT ... KEYS"`, the `iss`, the tenants that it may speak for, and its JWK '
        "set, a file or an https URL. Who their subjects are is said by the external identities of "
        "the directory.",
        check=trusted_issuers_problem,
    )
    token_audience: str = setting(doc="The `aud` that a bearer token must have.")
    database_url: str = setting(
        doc="sqlite:///<path> or postgresql://<user>:<password>@<host>/<database>."
    )
    page_token_secret: str = setting(
        doc="Signs page tokens; the same in all processes, at least 16 characters.", secret=True
    )
    servers: int = setting(
        0,
        doc="How many server processes share the listeners, each pinned to a core. 0: one a core.",
        check=between(0, 64),
    )
    grace_seconds: float = setting(
        10.0, doc="What running calls get when a server goes down.", check=between(0, 600)
    )
    log_level: str = setting(
        "INFO", doc="Least level of logs.", check=one_of("DEBUG", "INFO", "WARNING", "ERROR")
    )

    def server_count(self) -> int:
        """How many server processes the parent starts: a child is pinned, and sees one core."""
        return self.servers or usable_cores()

    def shares_listeners(self) -> bool:
        """Whether a server process must expect others on its listeners."""
        return self.servers != 1

    def problems(self) -> Iterator[str]:
        """Say what is wrong with the settings taken together."""
        if len(self.page_token_secret) < MIN_SECRET:
            yield f"page_token_secret: has at least {MIN_SECRET} characters"
        if not self.client_tls and not is_loopback(self.client_listen):
            yield (
                f"client_listen: {self.client_listen} is reached from other machines, which takes"
                " client_tls"
            )
        if self.token_issuer in self.trusted_issuers:
            yield "trusted_issuers: token_issuer is trusted for every tenant already"


def usable_cores() -> int:
    """How many cores this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
