"""The settings of the authz service."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.kernel.config import between, one_of, setting
from services.kernel.names import id_problem

SERVICE: Final = "authz"


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting; section [authz] of the file, variables STOA_AUTHZ_*."""

    client_listen: str = setting("127.0.0.1:7403", doc="Address of the client listener.")
    client_tls: bool = setting(
        False, doc="Whether the client listener uses TLS; without it, only loopback is allowed."
    )
    internal_listen: str = setting(
        "127.0.0.1:7413", doc="Address of the listener for services, always with mutual TLS."
    )
    feed_listen: str = setting(
        "127.0.0.1:7404", doc="Address of the policy feed, for services, always with mutual TLS."
    )
    tls_certificate: Path = setting(doc="PEM file with the certificate of this workload.")
    tls_key: Path = setting(doc="PEM file with the key of that certificate.")
    tls_authorities: Path = setting(doc="PEM file with the authorities of other workloads.")
    trust_domain: str = setting("stoa", doc="Trust domain of the SPIFFE ids of workloads.")
    token_issuer: str = setting(doc="The `iss` of accepted bearer tokens.")
    token_keys: str = setting(doc="The issuer's JWK set: a file, or an https URL.")
    token_audience: str = setting("authz.stoa.dev", doc="The `aud` that a bearer token must have.")
    database_url: str = setting(
        doc="sqlite:///<path> or postgresql://<user>:<password>@<host>/<database>."
    )
    page_token_secret: str = setting(
        doc="Signs page tokens; the same in all processes, at least 16 characters.", secret=True
    )
    bootstrap_tenant: str = setting(
        "", doc="Id of the tenant that an empty database begins with. Empty: none."
    )
    bootstrap_subscription: str = setting(
        "", doc="Id of the subscription that an empty database begins with. Empty: none."
    )
    bootstrap_owner: str = setting(
        "",
        doc="Id of the user who owns that tenant and operates the installation. Empty: none.",
    )
    servers: int = setting(
        1, doc="How many server processes share the listeners.", check=between(1, 64)
    )
    log_retention_seconds: float = setting(
        3600.0,
        doc="How long the policy log is kept for those who resume it.",
        check=between(60, 30 * 24 * 3600),
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
        given = (self.bootstrap_subscription, self.bootstrap_owner)
        if any(given) and not self.bootstrap_tenant:
            yield "bootstrap_tenant: is needed for the subscription and the owner"
        for name in ("bootstrap_tenant", "bootstrap_subscription", "bootstrap_owner"):
            value = getattr(self, name)
            if value and (problem := id_problem(value)):
                yield f"{name}: {problem}"
