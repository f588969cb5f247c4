"""Channels from service to service: mTLS as the workload, retries, deadlines, traces, metrics."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

import grpc

from services.kernel.rpc.credentials import Pem, TlsFiles, Watched, check_pair
from services.kernel.rpc.identity import TRACEPARENT, TRACESTATE
from services.kernel.rpc.listeners import MAX_MESSAGE
from services.kernel.rpc.service_config import MUTATION_TIMEOUT, service_config, timeouts
from services.kernel.telemetry import trace, tracer
from services.kernel.telemetry.telemetry import Telemetry
from services.kernel.telemetry.trace import Trace
from services.kernel.telemetry.tracer import SpanKind

# How long calls on a channel whose certificate was replaced may go on.
DRAIN: Final = 60.0


class ServiceChannel(grpc.Channel):
    """A channel to one service, for any of its stubs and any thread.

    It follows the files of the workload's certificate: calls that begin after a change use a
    new connection. Each call gets the deadline of its kind, never more than what is left of
    the call that is being served, and continues the current trace.
    """

    def __init__(
        self,
        address: str,
        tls: TlsFiles,
        *,
        services: Iterable[str],
        telemetry: Telemetry | None = None,
        server_name: str = "",
    ) -> None:
        """Connect, lazily, to `host:port`.

        `server_name` is the name in the server's certificate where it is not the host.

        Raises:
            OSError: a file of the certificate cannot be read.
            ValueError: the key is not that of the certificate.
        """
        names = list(services)
        self.telemetry: Final = telemetry or Telemetry()
        self._address: Final = address
        self._options: Final[list[tuple[str, Any]]] = [
            ("grpc.service_config", service_config(names)),
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # By default a service that was away is not looked for again for up to two minutes,
            # and every call fails at once until then.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if server_name:
            self._options.append(("grpc.ssl_target_name_override", server_name))
        self._timeouts: Final = timeouts(names)
        self._lock: Final = threading.Lock()
        self._closed = False
        self._old: Final[list[grpc.Channel]] = []
        self._current: grpc.Channel | None = None
        self._watched: Final = Watched(tls, self._connect)

    def _connect(self, pem: Pem) -> grpc.Channel:
        check_pair(pem)
        made = grpc.secure_channel(
            self._address,
            grpc.ssl_channel_credentials(pem.authorities, pem.key, pem.certificate),
            options=self._options,
        )
        old, self._current = self._current, made
        if old is not None:
            self._old.append(old)
            timer = threading.Timer(DRAIN, self._close_old, (old,))
            timer.daemon = True
            timer.start()
        return made

    def _close_old(self, old: grpc.Channel) -> None:
        with self._lock:
            if old in self._old:
                self._old.remove(old)
                old.close()

    def current(self) -> grpc.Channel:
        """Answer the channel that new calls use."""
        return self._watched.get()

    def timeout_of(self, method: str, asked: float | None) -> float | None:
        """Answer the seconds that a call gets: as asked or by its kind, and what is left."""
        timeout = asked if asked is not None else self._timeouts.get(method, MUTATION_TIMEOUT)
        running = trace.current()
        if running is None:
            return timeout
        left = max(0.0, running.deadline - time.monotonic())
        if timeout is None:
            return None if left == float("inf") else left
        return min(timeout, left)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Answer what calls a method."""
        return _Unary(self, method, lambda channel: channel.unary_unary(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Answer what calls a method that streams its requests."""
        return _Unary(self, method, lambda channel: channel.stream_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Answer what calls a method that streams its answers."""
        return _Stream(self, method, lambda channel: channel.unary_stream(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Answer what calls a method that streams both."""
        return _Stream(self, method, lambda channel: channel.stream_stream(method, *args, **kwargs))

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool = False,  # noqa: FBT001, FBT002 the signature of gRPC
    ) -> None:
        """Watch the connectivity of the channel that new calls use now."""
        self.current().subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Stop watching."""
        self.current().unsubscribe(callback)

    def close(self) -> None:
        """Close all connections; calls under way are cancelled."""
        with self._lock:
            channels, self._old[:] = [*self._old, self.current()], []
        for channel in channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Method:
    """One method; the callable of gRPC is made anew when the channel was."""

    __slots__ = ("_attributes", "_channel", "_made", "_make", "_method", "_path")

    def __init__(
        self, channel: ServiceChannel, method: str, make: Callable[[grpc.Channel], Any]
    ) -> None:
        self._channel: Final = channel
        self._path: Final = method
        self._method: Final = method[1:]
        self._make: Final = make
        self._made: tuple[grpc.Channel | None, Any] = (None, None)
        self._attributes: Final = {"rpc.system.name": "grpc", "rpc.method": self._method}

    def callable(self) -> Any:
        channel = self._channel.current()
        made = self._made
        if made[0] is not channel:
            made = (channel, self._make(channel))
            self._made = made
        return made[1]

    def begin(self, sent: dict[str, Any]) -> tuple[Trace, float]:
        """Begin a call: its span, its deadline, the headers of its trace."""
        running = trace.current()
        begun = self._channel.telemetry.tracer.begin(
            self._method,
            SpanKind.CLIENT,
            running.context if running is not None else None,
            self._attributes,
        )
        context = begun.context
        headers = [(TRACEPARENT, context.header())]
        if context.state:
            headers.append((TRACESTATE, context.state))
        sent["metadata"] = [*(sent.get("metadata") or ()), *headers]
        sent["timeout"] = self._channel.timeout_of(self._path, sent.get("timeout"))
        return begun, time.perf_counter()

    def end(self, begun: Trace, started: float, code: grpc.StatusCode) -> None:
        """Record how a call ended."""
        durations = self._channel.telemetry.client_durations
        durations.record(self._method, code.name, time.perf_counter() - started)
        error = "" if code is grpc.StatusCode.OK else code.name
        tracer.end(begun, {"rpc.response.status_code": code.name}, error=error)


class _Unary(_Method):
    __slots__ = ()

    def __call__(self, request: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        return self.with_call(request, timeout, **kwargs)[0]

    def with_call(
        self, request: Any, timeout: float | None = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        kwargs["timeout"] = timeout
        begun, started = self.begin(kwargs)
        try:
            response, call = self.callable().with_call(request, **kwargs)
        except grpc.RpcError as error:
            self.end(begun, started, _code(error))
            raise
        self.end(begun, started, grpc.StatusCode.OK)
        return response, call

    def future(self, request: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        kwargs["timeout"] = timeout
        begun, started = self.begin(kwargs)
        future = self.callable().future(request, **kwargs)
        future.add_done_callback(lambda done: self.end(begun, started, done.code()))
        return future


class _Stream(_Method):
    __slots__ = ()

    def __call__(self, request: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        kwargs["timeout"] = timeout
        begun, started = self.begin(kwargs)
        call = self.callable()(request, **kwargs)
        if not call.add_callback(lambda: self.end(begun, started, call.code())):
            self.end(begun, started, call.code())
        return call


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    code: grpc.StatusCode = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
    return code
