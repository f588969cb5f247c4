"""Carries calls of the sync server over the common path.

Every method is handed to gRPC as one that streams requests, whatever its arity: only then does
gRPC leave it to us when the request is read, so that nothing is parsed of a caller who is not
known, and a call beyond the bound of its pool is refused without waiting for its message.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from services.kernel.errors import InvalidArgument, StoaError, Unimplemented
from services.kernel.rpc import validation
from services.kernel.rpc.call import Call
from services.kernel.rpc.identity import Sent
from services.kernel.rpc.overdue import Overdue
from services.kernel.rpc.path import Path, lacking, serialized, shutting_down, too_many
from services.kernel.rpc.pools import Pools
from services.kernel.rpc.status import DETAILS_KEY, GRPC_CODES, to_status
from services.kernel.violations import Violations

Behaviour = Callable[[Any, Call], Any]


class SyncHandlers(grpc.GenericRpcHandler):
    """The handlers of one listener, made once and found by the path of the call."""

    def __init__(
        self,
        paths: Mapping[str, tuple[Path, Behaviour | None]],
        pools: Pools,
        overdue: Overdue,
        domain: str,
    ) -> None:
        self._refusals: Final = ThreadPoolExecutor(1, thread_name_prefix="refusals")
        self._handlers: Final = {
            name: (
                pools.of(path.policy.kind),
                self._handler(path, behaviour, pools, overdue),
                _refusal(path, too_many(path.policy.kind), self._refusals),
            )
            for name, (path, behaviour) in paths.items()
        }
        self._unknown: Final[Any] = grpc.stream_stream_rpc_method_handler(
            _Unknown(domain, self._refusals)
        )

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Answer the handler of a call, or the one that refuses it."""
        found = self._handlers.get(handler_call_details.method)
        if found is None:
            return self._unknown
        pool, handler, refusal = found
        return refusal if pool.full else handler

    def close(self) -> None:
        """End the thread that refuses."""
        self._refusals.shutdown(wait=False)

    def _handler(
        self, path: Path, behaviour: Behaviour | None, pools: Pools, overdue: Overdue
    ) -> Any:
        if behaviour is None:
            return _refusal(path, lacking(path.policy), self._refusals)
        pool = pools.of(path.policy.kind)
        if path.policy.descriptor.server_streaming:
            return grpc.stream_stream_rpc_method_handler(_Stream(path, behaviour, overdue, pool))
        return grpc.stream_unary_rpc_method_handler(_Unary(path, behaviour, overdue, pool))


class _Method:
    """One method as gRPC calls it; `experimental_thread_pool` is where gRPC looks for the pool."""

    __slots__ = ("behaviour", "experimental_thread_pool", "overdue", "path", "streams")

    def __init__(
        self, path: Path, behaviour: Behaviour, overdue: Overdue, pool: ThreadPoolExecutor
    ) -> None:
        self.path: Final = path
        self.behaviour: Final = behaviour
        self.overdue: Final = overdue
        self.experimental_thread_pool: Final = pool
        self.streams: Final[bool] = path.policy.descriptor.client_streaming

    def admitted(self, call: Call, sent: Sent, messages: Iterator[bytes], context: Any) -> Any:
        """Answer the request, or the requests, of a call that may go on."""
        path = self.path
        path.authenticate(call, sent, context.auth_context)
        if self.streams and path.policy.scope is None:
            path.admit(call, path.request())
            return _requests(path, messages)
        self.overdue.watch(context)
        try:
            raw = _first(messages)
        finally:
            self.overdue.forget(context)
        first = path.parse(raw)
        path.admit(call, first)
        return _requests(path, messages, first) if self.streams else first


class _Unary(_Method):
    __slots__ = ()

    def __call__(self, messages: Iterator[bytes], context: Any) -> bytes:
        call, sent = self.path.open(context, context.is_active)
        try:
            request = self.admitted(call, sent, messages, context)
            reply = serialized(self.behaviour(request, call))
        except Exception as error:  # noqa: BLE001 everything that escapes is mapped here
            _abort(self.path, call, error, context)
            return b""
        _succeed(self.path, call, context)
        return reply


class _Stream(_Method):
    __slots__ = ()

    def __call__(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        call, sent = self.path.open(context, context.is_active)
        try:
            request = self.admitted(call, sent, messages, context)
            call.revision_checked = self.path.front.control.revision
            for response in self.behaviour(request, call):
                _still_allowed(self.path, call)
                yield serialized(response)
        except GeneratorExit:
            self.path.abandoned(call)
            raise
        except Exception as error:  # noqa: BLE001 everything that escapes is mapped here
            _abort(self.path, call, error, context)
            return
        _succeed(self.path, call, context)


def _first(messages: Iterator[bytes]) -> bytes:
    for message in messages:
        return message
    raise InvalidArgument("the call has no request")


def _requests(
    path: Path, messages: Iterator[bytes], first: Message | None = None
) -> Iterator[Message]:
    """Answer the messages of a client stream; one that breaks a rule ends it."""
    if first is not None:
        yield first
    for message in messages:
        yield checked(path, message)


def checked(path: Path, message: bytes) -> Message:
    """Read a message of a client stream that is not its first.

    Raises:
        InvalidArgument: it is no message of the type, or breaks the rules of the contract.
    """
    request = path.parse(message)
    violations = Violations()
    validation.collect(request, violations)
    violations.raise_if_any()
    return request


def _still_allowed(path: Path, call: Call) -> None:
    call.check()
    if call.stopping.is_set():
        raise shutting_down()
    now = time.time()
    if path.front.control.revision != call.revision_checked or now >= call.caller.expires:
        call.authorize_again(now)


def _succeed(path: Path, call: Call, context: Any) -> None:
    if not context.is_active():
        path.abandoned(call)
        return
    if call.trailing_metadata:
        context.set_trailing_metadata(tuple(call.trailing_metadata))
    path.finish(call)


def _abort(path: Path, call: Call, error: Exception, context: Any) -> None:
    """Send the error, by raising what gRPC wants raised; return where nobody reads it."""
    if not context.is_active():
        path.abandoned(call)
        return
    failure = path.finish(call, error)
    if failure is not None:
        context.set_trailing_metadata(failure.trailing)
        context.abort(failure.status, failure.message)


class _Refusal:
    """Answers an error without looking at the request."""

    __slots__ = ("_error", "_path", "experimental_thread_pool")

    def __init__(self, path: Path, error: StoaError, pool: ThreadPoolExecutor) -> None:
        self._path: Final = path
        self._error: Final = error
        self.experimental_thread_pool: Final = pool

    def __call__(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        call, _ = self._path.open(context, context.is_active)
        _abort(self._path, call, self._error, context)
        return iter(())


def _refusal(path: Path, error: StoaError, pool: ThreadPoolExecutor) -> Any:
    return grpc.stream_stream_rpc_method_handler(_Refusal(path, error, pool))


class _Unknown:
    """Answers calls of methods that no contract here has."""

    __slots__ = ("_details", "_error", "experimental_thread_pool")

    def __init__(self, domain: str, pool: ThreadPoolExecutor) -> None:
        self._error: Final = Unimplemented("there is no such method")
        self._details: Final = to_status(self._error, domain).SerializeToString()
        self.experimental_thread_pool: Final = pool

    def __call__(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.set_trailing_metadata(((DETAILS_KEY, self._details),))
        context.abort(GRPC_CODES[self._error.code], self._error.message)
        return iter(())
