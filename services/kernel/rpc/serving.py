"""What every process of a service opens from its settings alone; an ExitStack closes it."""

from collections.abc import Sequence
from contextlib import ExitStack

from services.kernel.db.engine import Database
from services.kernel.db.migrations import check_schema
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.credentials import TlsFiles
from services.kernel.rpc.identity import BearerAuthenticator
from services.kernel.rpc.jwks import KeySource, reader
from services.kernel.rpc.listeners import Listen, ServerSettings
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.tokens import Issuer, TokenVerifier
from services.kernel.serving_config import ServingConfig
from services.kernel.telemetry.telemetry import Telemetry
from services.kernel.trusted_issuers import issuers_of


def tls_files(config: ServingConfig) -> TlsFiles:
    """Answer the certificate of this workload and the authorities of others."""
    return TlsFiles(config.tls_certificate, config.tls_key, config.tls_authorities)


def server_settings(
    config: ServingConfig, domain: str, *, pools: PoolSizes | None = None
) -> ServerSettings:
    """Answer how the server with both listeners is set up."""
    tls = tls_files(config)
    return ServerSettings(
        domain,
        client=Listen(config.client_listen, tls if config.client_tls else None),
        internal=Listen(config.internal_listen, tls),
        trust_domain=config.trust_domain,
        shared=config.shares_listeners(),
        pools=pools or PoolSizes(),
        grace=config.grace_seconds,
    )


def open_users(config: ServingConfig, stack: ExitStack) -> BearerAuthenticator:
    """Open what reads the bearer tokens of users, with the keys of every issuer."""
    issuers = [Issuer(config.token_issuer, _open_keys(config.token_keys, stack))]
    for name, trusted in issuers_of(config.trusted_issuers).items():
        keys = _open_keys(trusted.keys, stack)
        issuers.append(Issuer(name, keys, tenants=trusted.tenants, external=True))
    return BearerAuthenticator(TokenVerifier(config.token_audience, issuers))


def _open_keys(location: str, stack: ExitStack) -> KeySource:
    keys = KeySource(reader(location))
    stack.callback(keys.close)
    return keys


def open_telemetry(config: ServingConfig, service: str, stack: ExitStack) -> Telemetry:
    """Open traces, metrics and logs as the environment configures them."""
    telemetry = Telemetry.from_environment(service, log_level=config.log_level)
    stack.callback(telemetry.close)
    return telemetry


def open_database(config: ServingConfig, revision: str, stack: ExitStack) -> Database:
    """Open the database of the service.

    Raises:
        SchemaMismatchError: it is not migrated to `revision`.
    """
    db = Database.open(config.database_url)
    stack.callback(db.close)
    check_schema(db, revision)
    return db


def open_channel(
    config: ServingConfig,
    address: str,
    services: Sequence[str],
    *,
    stack: ExitStack,
    telemetry: Telemetry,
) -> ServiceChannel:
    """Open a channel to another service's internal listener, as this workload."""
    channel = ServiceChannel(address, tls_files(config), services=services, telemetry=telemetry)
    stack.callback(channel.close)
    return channel
