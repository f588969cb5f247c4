"""Channels to the services of a target, with what every call carries."""

import ipaddress
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import grpc

from cli import VERSION
from cli.errors import CliError, ExitCode, UsageProblem
from cli.target import Target
from cli.trace import CommandTrace

# Seconds that a unary call may take where the command says nothing else. A server ends a wait
# after 30.
DEADLINE: Final = 60.0

_AUXILIARY: Final = "x-stoa-authorization-auxiliary"
_MAX_TOKEN: Final = 8 * 1024

# Every method may be repeated: what changes something carries a request id.
_SERVICE_CONFIG: Final = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
_OPTIONS: Final = (
    ("grpc.primary_user_agent", f"stoa-cli/{VERSION}"),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # An error with many violations is longer than the 8 KiB that a client takes by default.
    ("grpc.max_metadata_size", 64 * 1024),
    # A watch that nobody answers any more is noticed; servers allow a ping each 30 s.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)

_S = TypeVar("_S")


class Connection:
    """Calls the services of one target as one caller, in one trace."""

    def __init__(self, target: Target, trace: CommandTrace, *, debug: bool = False) -> None:
        self.target: Final = target
        self._interceptor: Final = _CallInterceptor(target, trace, debug=debug)
        self._channels: dict[str, grpc.Channel] = {}

    def stub(self, service: str, stub: Callable[[grpc.Channel], _S]) -> _S:
        """A stub of `service` (catalog, replication or authz)."""
        return stub(self.channel(service))

    def channel(self, service: str) -> grpc.Channel:
        """The channel to a service, opened once.

        Raises:
            CliError: the target does not say where the service is, or cannot be trusted.
        """
        if service not in self._channels:
            bare = open_channel(self.target.endpoint(service), self.target.ca_file)
            self._channels[service] = grpc.intercept_channel(bare, self._interceptor)
        return self._channels[service]

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()


def open_channel(endpoint: str, ca_file: str = "", *, retry: bool = True) -> grpc.Channel:
    """A channel without credentials of a caller: TLS, or plaintext to this machine.

    Without `retry` the first answer counts, which is what a look at a service's health wants.

    Raises:
        CliError: the CA file cannot be read.
    """
    options = (*_OPTIONS, ("grpc.enable_retries", int(retry)))
    if not ca_file and is_loopback(endpoint):
        return grpc.insecure_channel(endpoint, options=options)
    try:
        roots = Path(ca_file).read_bytes() if ca_file else None
    except OSError as error:
        raise CliError(
            "The CA file of the context cannot be read.", why=(str(error),), code=ExitCode.USAGE
        ) from error
    return grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(roots), options=options)


def is_loopback(endpoint: str) -> bool:
    """Whether `host:port` is this machine."""
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _CallInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds token, trace and deadline, and to requests an id that makes repeating them safe."""

    def __init__(self, target: Target, trace: CommandTrace, *, debug: bool) -> None:
        self._target: Final = target
        self._trace: Final = trace
        self._debug: Final = debug
        self._bearers: list[tuple[str, str]] = []

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        _identify(request)
        started = time.monotonic()
        call = continuation(self._details(details, DEADLINE), request)
        if self._debug:
            call.add_done_callback(lambda done: self._tell(details.method, done, started))
        return call

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        _identify(request)
        return continuation(self._details(details, None), request)

    def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(self._details(details, None), requests)

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(self._details(details, None), requests)

    def _details(self, details: Any, deadline: float | None) -> _Details:
        if not self._bearers:
            self._bearers = [
                ("authorization", f"Bearer {_sendable(self._target.token())}"),
                *((_AUXILIARY, f"Bearer {_sendable(one())}") for one in self._target.auxiliary),
            ]
        metadata = [
            *(details.metadata or ()),
            *self._bearers,
            ("traceparent", self._trace.header()),
        ]
        return _Details(
            details.method,
            details.timeout if details.timeout is not None else deadline,
            metadata,
            details.credentials,
            getattr(details, "wait_for_ready", None),
            getattr(details, "compression", None),
        )

    def _tell(self, method: str | bytes, call: Any, started: float) -> None:
        name = method.decode() if isinstance(method, bytes) else method
        took = (time.monotonic() - started) * 1000
        sys.stderr.write(
            f"debug: {name} {call.code().name} {took:.0f} ms trace {self._trace.trace_id}\n"
        )


def _identify(request: Any) -> None:
    if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
        request.request_id = str(uuid.uuid4())


def _sendable(token: str) -> str:
    if not token or not token.isascii() or not token.isprintable():
        raise UsageProblem("The token is empty or holds characters that a token cannot have.")
    if len(token) > _MAX_TOKEN:
        raise CliError(
            "The token is too large to be sent.",
            why=(f"it has {len(token)} bytes, and services take {_MAX_TOKEN}",),
            todo="Have its issuer leave groups and roles out: nobody reads them here.",
            code=ExitCode.DENIED,
        )
    return token


def pages(
    method: Callable[[Any], Any], request: Any, field: str, *, limit: int | None = None
) -> Iterator[Any]:
    """The entries of a list call, page after page, at most `limit` of them.

    `field` names the repeated field of the reply. The request's page token is used up.
    """
    taken = 0
    while limit is None or taken < limit:
        if limit is not None:
            request.page_size = min(limit - taken, 1000)
        reply = method(request)
        found = getattr(reply, field)
        yield from found if limit is None else found[: limit - taken]
        taken += len(found)
        if not reply.next_page_token:
            return
        request.page_token = reply.next_page_token
