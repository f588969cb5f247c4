"""Where a server listens, under which options, and whom it lets in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from services.kernel.addresses import is_loopback
from services.kernel.child import CannotServe
from services.kernel.rpc.access import AccessControl
from services.kernel.rpc.credentials import TlsFiles, server_credentials
from services.kernel.rpc.identity import Authenticator, WorkloadAuthenticator
from services.kernel.rpc.path import Front
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.registry import Audience
from services.kernel.stopping import Stop
from services.kernel.telemetry.telemetry import Telemetry

MAX_MESSAGE: Final = 4 * 1024 * 1024
# Of all that a call sends beside its request: a token of each tenant, a trace, what proxies add.
MAX_METADATA: Final = 16 * 1024


class InsecureListener(Exception):
    """The server must not start: a listener would let in what it may not."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One address, `host:port` with port 0 for any, and its certificate."""

    address: str
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How one server process listens.

    `domain` is that of the ErrorInfo it answers. `shared` says that other processes listen
    on the same addresses: where it is false, a second instance fails to bind instead of taking
    half of the calls. Times are in seconds: `grace` is what running calls get when the server
    goes down, `drain_delay` what balancers get to notice before that; a connection is closed
    after `max_connection_age`, so that clients spread over processes and meet rotated
    certificates.
    """

    domain: str
    client: Listen | None = None
    internal: Listen | None = None
    trust_domain: str = "stoa"
    shared: bool = False
    pools: PoolSizes = field(default_factory=PoolSizes)
    reflection: bool = True
    grace: float = 10.0
    drain_delay: float = 0.0
    max_connection_age: float = 300.0
    max_connection_age_grace: float = 30.0
    max_streams_per_connection: int = 100
    max_pending_calls: int = 20_000

    def options(self) -> list[tuple[str, Any]]:
        """Answer the channel arguments of performance.md sections 4, 6 and 7."""
        return [
            ("grpc.so_reuseport", int(self.shared)),
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            # By default more and more calls are refused from 8 KiB on; with one limit a call that
            # is accepted once is accepted always.
            ("grpc.max_metadata_size", MAX_METADATA),
            ("grpc.absolute_max_metadata_size", MAX_METADATA),
            ("grpc.max_concurrent_streams", self.max_streams_per_connection),
            ("grpc.max_connection_age_ms", int(self.max_connection_age * 1000)),
            ("grpc.max_connection_age_grace_ms", int(self.max_connection_age_grace * 1000)),
            # Streams that are idle for long are kept by pings of their clients.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
            # The default cuts off bursts of new streams beyond about three thousand.
            ("grpc.server.max_pending_requests", self.max_pending_calls),
            ("grpc.server.max_pending_requests_hard_limit", 2 * self.max_pending_calls),
        ]

    def listens(self) -> Iterator[tuple[Audience, Listen]]:
        """Answer the listeners that are configured."""
        if self.client is not None:
            yield Audience.CLIENT, self.client
        if self.internal is not None:
            yield Audience.INTERNAL, self.internal


def credentials(audience: Audience, listen: Listen) -> grpc.ServerCredentials | None:
    """Answer the credentials of a listener, None for plaintext.

    Raises:
        InsecureListener: plaintext that another machine could reach, or an internal listener
            that would not ask for certificates.
    """
    if audience is Audience.INTERNAL:
        if listen.tls is None or listen.tls.authorities is None:
            raise InsecureListener(
                f"the internal listener {listen.address} needs a certificate and authorities"
            )
        return server_credentials(listen.tls, require_client=True)
    if listen.tls is not None:
        return server_credentials(listen.tls, require_client=False)
    if not is_loopback(listen.address):
        raise InsecureListener(
            f"the client listener {listen.address} is reached from other machines and has no"
            " certificate; plaintext is for loopback"
        )
    return None


def bind(server: Any, audience: Audience, listen: Listen) -> int:
    """Bind a listener of either server; answer its port.

    Raises:
        InsecureListener: see `credentials`.
        CannotServe: the address is taken, or not of this machine.
    """
    secure = credentials(audience, listen)
    try:
        port: int = (
            server.add_insecure_port(listen.address)
            if secure is None
            else server.add_secure_port(listen.address, secure)
        )
    except RuntimeError as error:
        raise CannotServe(
            f"the {audience.value} listener cannot have {listen.address}:"
            " it is taken, or no address of this machine"
        ) from error
    return port


@dataclass(frozen=True, slots=True)
class Guards:
    """What decides about callers: users on the client listener, what anybody may do."""

    users: Authenticator
    control: AccessControl

    def front(
        self,
        audience: Audience,
        settings: ServerSettings,
        telemetry: Telemetry,
        stopping: Stop,
    ) -> Front:
        """Build what the methods of a listener share."""
        authenticators: Mapping[Audience, Authenticator] = {
            Audience.CLIENT: self.users,
            Audience.INTERNAL: WorkloadAuthenticator(settings.trust_domain),
        }
        return Front(settings.domain, authenticators[audience], self.control, telemetry, stopping)
