"""The aio server takes the same path, with coroutines and with plain functions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from services.kernel import errors
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.call import Call
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.registry import Audience
from tests.wire.kernel.library import (
    ANN,
    DOMAIN,
    EVERYTHING,
    LIBRARY,
    Client,
    Grants,
    LibraryServicer,
    Tokens,
    detail_of,
    info_of,
    pb,
    raise_as_named,
)

BOOK = "shelves/a/books/b"


class AioServicer:
    """Coroutines for what streams, a coroutine and plain functions for what does not."""

    def __init__(self) -> None:
        self.streaming = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._plain = LibraryServicer()
        self.CreateBook = self._plain.CreateBook
        self.WhoAmI = self._plain.WhoAmI

    async def GetBook(self, request: Any, call: Call) -> Any:
        call.violations.raise_if_any()
        assert call.scope is not None
        if call.scope.id == "slow":
            self.streaming.set()
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        await asyncio.sleep(0)
        raise_as_named(call.scope.id)
        return pb.Book(name=call.scope.text)

    async def WatchBooks(self, request: Any, call: Call) -> AsyncIterator[Any]:
        yield pb.Book(name="first")
        self.streaming.set()
        if request.parent.endswith("/broken"):
            raise errors.PositionCompacted(7)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def UploadPages(self, requests: AsyncIterator[Any], call: Call) -> Any:
        size = 0
        async for page in requests:
            size += len(page.content)
        return pb.Text(text=str(size))

    async def Converse(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        async for request in requests:
            raise_as_named(request.text)
            yield pb.Text(text=request.text.upper()).SerializeToString()


class PlainStreamServicer:
    """A stream of answers written as a plain generator."""

    WatchBooks = LibraryServicer.WatchBooks

    def __init__(self) -> None:
        self.calls: list[Call] = []


Scenario = Callable[[AioServer, Any, Grants], Awaitable[None]]


def run(tokens: Tokens, scenario: Scenario, servicer: object | None = None) -> None:
    """Run a scenario against a server and with a client on one loop."""

    async def main() -> None:
        grants = Grants(*EVERYTHING)
        settings = ServerSettings(
            DOMAIN, client=Listen("127.0.0.1:0"), grace=0.2, pools=PoolSizes.aio()
        )
        server = AioServer(settings, Guards(tokens.authenticator, grants))
        server.register(LIBRARY, servicer or AioServicer())
        ports = await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports[Audience.CLIENT]}") as channel:
            client = Client(channel, tokens.bearer())  # type: ignore[arg-type]
            try:
                await scenario(server, client, grants)
            finally:
                await server.stop()

    asyncio.run(main())


async def failed(call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


async def read_all(stream: Any) -> list[Any]:
    return [message async for message in stream]


def test_coroutines_and_plain_functions_answer(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        assert (await client("GetBook", pb.GetBookRequest(name=BOOK))).name == BOOK
        assert (await client("WhoAmI", pb.Text())).text == f"{ANN} 0"
        request = pb.CreateBookRequest(parent="shelves/a", book_id="xy")
        call = client.method("CreateBook")(request, metadata=[tokens.bearer()])
        assert (await call).name == "shelves/a/books/xy"
        trailing = await call.trailing_metadata()
        assert ("x-consistency-token", "token-1") in list(trailing)

    run(tokens, scenario)


@pytest.mark.parametrize(
    ("book", "code", "reason", "detail"),
    [
        ("not_found", "NOT_FOUND", "RESOURCE_NOT_FOUND", "ResourceInfo"),
        ("unavailable", "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", "RetryInfo"),
        ("cancelled", "CANCELLED", "CANCELLED", "ErrorInfo"),
        ("bug", "INTERNAL", "INTERNAL", "RequestInfo"),
        ("huge", "INVALID_ARGUMENT", "INVALID_FIELDS", "BadRequest"),
    ],
)
def test_errors_reach_the_client_once_with_their_details(
    tokens: Tokens, book: str, code: str, reason: str, detail: str
) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        name = f"shelves/a/books/{book}"
        error = await failed(client("GetBook", pb.GetBookRequest(name=name)))
        assert error.code().name == code
        assert info_of(error).reason == reason
        assert detail_of(error, detail).ByteSize() > 0

    run(tokens, scenario)


def test_nobody_unknown_or_denied_gets_in(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        error = await failed(client.method("GetBook")(pb.GetBookRequest(name=BOOK)))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        error = await failed(client("GetBook", pb.GetBookRequest(name="shelves/z/books/b")))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        error = await failed(client("GetBook", pb.GetBookRequest(name="z", copies=9)))
        assert len(detail_of(error, "BadRequest").field_violations) == 2
        error = await failed(client("NotBuilt", pb.Text()))
        assert info_of(error).reason == "UNIMPLEMENTED"
        error = await failed(client("Reindex", pb.Text()))
        assert info_of(error).reason == "UNIMPLEMENTED"
        error = await failed(client("GetBook", b"\xff\xff"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT

    run(tokens, scenario)


def test_uploads_and_conversations(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        pages = [pb.Page(book=BOOK, content=b"abc"), pb.Page(content=b"de")]
        assert (await client("UploadPages", iter(pages))).text == "5"
        error = await failed(client("UploadPages", iter([pb.Page(book="shelves/z/books/1")])))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        error = await failed(client("UploadPages", iter([])))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        broken = [pb.Page(book=BOOK), pb.Page(number=101)]
        error = await failed(client("UploadPages", iter(broken)))
        assert detail_of(error, "BadRequest").field_violations[0].field == "number"
        found = await read_all(client("Converse", iter([pb.Text(text="a"), pb.Text(text="b")])))
        assert [one.text for one in found] == ["A", "B"]
        error = await failed(read_all(client("Converse", iter([pb.Text(text="bug")]))))
        assert info_of(error).reason == "INTERNAL"
        assert len(server.streams) == 0

    run(tokens, scenario)


def test_a_stream_written_as_a_plain_generator(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/a"))
        assert [(await stream.read()).name for _ in range(3)][2] == "shelves/a/books/2"
        error = await failed(stream.read())
        assert info_of(error).reason == "RESOURCE_NOT_FOUND"

    run(tokens, scenario, PlainStreamServicer())


def test_a_stream_ends_with_its_error(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        grants.granted.add((ANN, "Library/books/read", "shelves/broken"))
        stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/broken"))
        assert (await stream.read()).name == "first"
        error = await failed(stream.read())
        assert error.code() is grpc.StatusCode.OUT_OF_RANGE
        assert info_of(error).metadata["oldest"] == "7"

    run(tokens, scenario)


def test_cancelling_reaches_the_servicer(tokens: Tokens) -> None:
    servicer = AioServicer()

    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/a"))
        await stream.read()
        await servicer.streaming.wait()
        stream.cancel()
        await asyncio.wait_for(servicer.cancelled.wait(), 5)
        codes = {one.code for one in server.telemetry.server_durations.snapshot()}
        assert codes == {"CANCELLED"}
        assert len(server.streams) == 0

    run(tokens, scenario, servicer)


def test_a_deadline_reaches_the_servicer_and_is_recorded(tokens: Tokens) -> None:
    servicer = AioServicer()

    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        request = pb.GetBookRequest(name="shelves/a/books/slow")
        error = await failed(client("GetBook", request, timeout=0.3))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(servicer.cancelled.wait(), 5)
        await server.stop()
        codes = {one.code for one in server.telemetry.server_durations.snapshot()}
        assert codes == {"DEADLINE_EXCEEDED"}

    run(tokens, scenario, servicer)


def test_t25_a_stream_ends_when_access_is_lost(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/a"), timeout=20)
        await stream.read()
        grants.revision += 1
        await asyncio.sleep(0.6)
        assert len(server.streams) == 1
        grants.revoke((ANN, "Library/books/read", "shelves/a"))
        error = await failed(stream.read())
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        assert info_of(error).metadata["permission"] == "Library/books/read"

    run(tokens, scenario)


def test_an_open_stream_outlives_an_outage_of_the_policy(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/a"), timeout=20)
        await stream.read()
        grants.unavailable = True
        grants.revoke((ANN, "Library/books/read", "shelves/a"))
        await asyncio.sleep(0.6)
        assert len(server.streams) == 1
        grants.unavailable = False
        error = await failed(stream.read())
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED

    run(tokens, scenario)


def test_streams_end_with_a_hint_when_the_server_goes_down(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/a"), timeout=20)
        await stream.read()
        stopping = asyncio.create_task(server.stop())
        error = await failed(stream.read())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert info_of(error).reason == "SHUTTING_DOWN"
        await stopping

    run(tokens, scenario)


def test_a_plain_function_cannot_serve_a_stream_of_requests(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        raise AssertionError("the server must not start")

    with pytest.raises(TypeError, match="UploadPages streams requests"):
        run(tokens, scenario, LibraryServicer())


class Flood:
    """A stream that never stops to send, to a client that may not read."""

    async def WatchBooks(self, request: Any, call: Call) -> AsyncIterator[Any]:
        while True:
            yield pb.Book(name="x" * 60_000)


def test_a_stream_that_ends_while_it_sends_still_answers_why(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        request = pb.ListBooksRequest(parent="shelves/a")
        streams = [aiter(client("WatchBooks", request, timeout=20)) for _ in range(5)]
        for stream in streams:
            await anext(stream)
        grants.revoke((ANN, "Library/books/read", "shelves/a"))
        for stream in streams:
            error = await failed(read_all(stream))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
            assert info_of(error).reason == "PERMISSION_DENIED"

    run(tokens, scenario, Flood())
