"""Carries calls of the aio server over the common path.

A method is a coroutine (an async generator where it streams its answer), or a plain function,
which then runs on a pool thread. What is before it (keys, policy, validation) may block and
always runs on a thread: the loop has 5,000 streams to look after.
"""

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from services.kernel.errors import DeadlineExceeded, InvalidArgument, Unimplemented
from services.kernel.rpc.call import Call
from services.kernel.rpc.identity import PeerContext, Sent, no_peer
from services.kernel.rpc.path import Path, lacking, serialized, too_many
from services.kernel.rpc.pools import BoundedPool, Pools
from services.kernel.rpc.status import DETAILS_KEY, GRPC_CODES, to_status
from services.kernel.rpc.streams import Streams
from services.kernel.rpc.sync_handlers import checked

T = TypeVar("T")
Behaviour = Callable[[Any, Call], Any]
_END: Final = object()


class AioHandlers(grpc.GenericRpcHandler):
    """The handlers of one listener, made once and found by the path of the call."""

    def __init__(
        self,
        paths: Mapping[str, tuple[Path, Behaviour | None]],
        pools: Pools,
        streams: Streams,
        domain: str,
    ) -> None:
        self._handlers: Final = {
            name: _handler(path, behaviour, pools, streams)
            for name, (path, behaviour) in paths.items()
        }
        self._unknown: Final[Any] = grpc.stream_stream_rpc_method_handler(_unknown(domain))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Answer the handler of a call."""
        return self._handlers.get(handler_call_details.method) or self._unknown


def _handler(path: Path, behaviour: Behaviour | None, pools: Pools, streams: Streams) -> Any:
    if behaviour is None:
        return grpc.stream_stream_rpc_method_handler(_Lacking(path).serve)
    descriptor = path.policy.descriptor
    pool = pools.of(path.policy.kind)
    if descriptor.client_streaming and not _is_async(behaviour):
        raise TypeError(f"{path.policy.path} streams requests, so it is a coroutine")
    if descriptor.server_streaming:
        stream = _Stream(path, behaviour, pool, streams)
        if descriptor.client_streaming:
            return grpc.stream_stream_rpc_method_handler(stream.serve)
        return grpc.unary_stream_rpc_method_handler(stream.serve)
    if descriptor.client_streaming:
        return grpc.stream_unary_rpc_method_handler(_Upload(path, behaviour, pool, streams).serve)
    return grpc.unary_unary_rpc_method_handler(_Unary(path, behaviour, pool, streams).serve)


def _is_async(behaviour: Behaviour) -> bool:
    return inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour)


class _Method:
    """One method as gRPC calls it."""

    def __init__(
        self, path: Path, behaviour: Behaviour, pool: BoundedPool, streams: Streams
    ) -> None:
        self.path: Final = path
        self.behaviour: Final = behaviour
        self.pool: Final = pool
        self.streams: Final = streams
        self.is_async: Final = _is_async(behaviour)

    def begin(self, context: Any) -> tuple[Call, Sent, PeerContext]:
        """Open the call, and read from the context what a thread may not ask it for."""
        call, sent = self.path.open(context, _always)
        peer: PeerContext = no_peer
        if self.path.front.authenticator.uses_peer:
            found = context.auth_context()
            peer = lambda: found  # noqa: E731 a value as the callable that is expected
        return call, sent, peer

    async def threaded(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function on the method's pool, in the context of the call.

        Raises:
            ResourceExhausted: the pool has too much to do.
        """
        if self.pool.full:
            raise too_many(self.path.policy.kind)
        loop = asyncio.get_running_loop()
        run = contextvars.copy_context().run
        return await loop.run_in_executor(self.pool, run, function, *args)

    def admitted(self, call: Call, sent: Sent, peer: PeerContext, raw: bytes) -> Message:
        """Answer the request of a call that may go on; blocks."""
        self.path.authenticate(call, sent, peer)
        request = self.path.parse(raw)
        self.path.admit(call, request)
        return request

    async def requests(
        self, call: Call, sent: Sent, peer: PeerContext, messages: Any
    ) -> AsyncIterator[Message]:
        """Answer the messages of a client stream that may go on."""
        if self.path.policy.scope is None:
            await self.threaded(self._admitted_alone, call, sent, peer)
            return _later(self.path, messages)
        async for raw in messages:
            first = await self.threaded(self.admitted, call, sent, peer, raw)
            return _later(self.path, messages, first)
        raise InvalidArgument("the call has no request")

    def _admitted_alone(self, call: Call, sent: Sent, peer: PeerContext) -> None:
        self.path.authenticate(call, sent, peer)
        self.path.admit(call, self.path.request())

    async def failed(self, call: Call, error: BaseException, context: Any) -> None:
        """Answer the error, by raising what gRPC wants raised."""
        if isinstance(error, asyncio.CancelledError):
            if call.ended is None or call.writing:
                call.abandon()
                self.path.abandoned(call)
                raise error
            # We ended it, and the answer is still to be sent: that needs a task that runs on.
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        failure = self.path.finish(call, error)
        if failure is not None:
            await context.abort(failure.status, failure.message, failure.trailing)

    def succeed(self, call: Call, context: Any) -> None:
        """Record a success and send what follows it."""
        if call.trailing_metadata:
            context.set_trailing_metadata(tuple(call.trailing_metadata))
        self.path.finish(call)


class _Unary(_Method):
    async def serve(self, raw: bytes, context: Any) -> bytes:
        call, sent, peer = self.begin(context)
        try:
            if self.is_async:
                request = await self.threaded(self.admitted, call, sent, peer, raw)
                reply = serialized(await _in_time(self.behaviour(request, call), call))
            else:
                reply = await self.threaded(self._served, call, sent, peer, raw)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 all is mapped here
            await self.failed(call, error, context)
            return b""
        self.succeed(call, context)
        return reply

    def _served(self, call: Call, sent: Sent, peer: PeerContext, raw: bytes) -> bytes:
        return serialized(self.behaviour(self.admitted(call, sent, peer, raw), call))


class _Upload(_Method):
    async def serve(self, messages: Any, context: Any) -> bytes:
        call, sent, peer = self.begin(context)
        self.streams.opened(call)
        try:
            requests = await self.requests(call, sent, peer, messages)
            reply = serialized(await self.behaviour(requests, call))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 all is mapped here
            self.streams.closed(call)
            await self.failed(call, error, context)
            return b""
        self.streams.closed(call)
        self.succeed(call, context)
        return reply


class _Stream(_Method):
    async def serve(self, incoming: Any, context: Any) -> None:
        call, sent, peer = self.begin(context)
        self.streams.opened(call)
        try:
            request: Any
            if self.path.policy.descriptor.client_streaming:
                request = await self.requests(call, sent, peer, incoming)
            else:
                request = await self.threaded(self.admitted, call, sent, peer, incoming)
            call.revision_checked = self.path.front.control.revision
            responses = self.behaviour(request, call)
            if not hasattr(responses, "__aiter__"):
                responses = self._pulled(responses)
            # Closed here and not by the collector, which would leave a stream open for a while.
            async with contextlib.aclosing(responses):
                async for response in responses:
                    call.writing = True
                    await context.write(serialized(response))
                    call.writing = False
                    if call.ended is not None:
                        raise call.ended
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 all is mapped here
            self.streams.closed(call)
            await self.failed(call, error, context)
            return
        self.streams.closed(call)
        self.succeed(call, context)

    async def _pulled(self, responses: Generator[Any]) -> AsyncIterator[Any]:
        try:
            while (response := await self.threaded(next, responses, _END)) is not _END:
                yield response
        finally:
            # A thread may still be in it; then it is closed when that thread lets go of it.
            with contextlib.suppress(ValueError):
                responses.close()


async def _later(path: Path, messages: Any, first: Message | None = None) -> AsyncIterator[Message]:
    if first is not None:
        yield first
    async for raw in messages:
        yield checked(path, raw)


async def _in_time(serving: Any, call: Call) -> Any:
    """Await what a servicer does, no longer than the call may take.

    Raises:
        DeadlineExceeded: it took longer.
    """
    try:
        async with asyncio.timeout(call.time_remaining()) as limit:
            return await serving
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceeded("the deadline of the call passed") from None
        raise


class _Lacking:
    """Answers a method that the servicer lacks."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    async def serve(self, messages: Any, context: Any) -> None:
        call, _ = self._path.open(context, _always)
        failure = self._path.finish(call, lacking(self._path.policy))
        if failure is not None:
            await context.abort(failure.status, failure.message, failure.trailing)


def _unknown(domain: str) -> Callable[[Any, Any], Any]:
    """Answer what answers calls of methods that no contract here has."""
    error = Unimplemented("there is no such method")
    details = to_status(error, domain).SerializeToString()

    async def refuse(_messages: Any, context: Any) -> None:
        await context.abort(GRPC_CODES[error.code], error.message, ((DETAILS_KEY, details),))

    return refuse


def _always() -> bool:
    return True
