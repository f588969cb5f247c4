"""A call that failed gives its stream back at once, and not when the garbage collector looks."""

import contextlib
import gc
import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.listeners import ServerSettings
from tests.wire.kernel.library import Client, Grants, LibraryServicer, Tokens, pb
from tests.wire.kernel.test_aio_server import run

# More than one connection may have open at a time.
CALLS = ServerSettings("stoa.test").max_streams_per_connection + 50
BOOKS = {
    "UNAUTHENTICATED": "shelves/a/books/b",
    "PERMISSION_DENIED": "shelves/hidden/books/b",
    "INVALID_ARGUMENT": "shelves/-/books/b",
    "NOT_FOUND": "shelves/a/books/not_found",
    "INTERNAL": "shelves/a/books/bug",
    "OK": "shelves/a/books/b",
}


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    logging.disable()  # what captures the log keeps the errors in it
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        gc.enable()


@pytest.mark.parametrize(("code", "book"), BOOKS.items())
def test_a_failed_call_leaves_no_stream_open(
    channel: grpc.Channel, servicer: LibraryServicer, tokens: Tokens, code: str, book: str
) -> None:
    client = Client(channel, *([] if code == "UNAUTHENTICATED" else [tokens.bearer()]))
    codes = []
    with uncollected():
        for _ in range(CALLS):
            try:
                client("GetBook", pb.GetBookRequest(name=book))
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
            servicer.calls.clear()
    assert set(codes) == {code}


@pytest.mark.parametrize(("code", "book"), BOOKS.items())
def test_a_failed_call_of_the_aio_server_leaves_no_stream_open(
    tokens: Tokens, code: str, book: str
) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        metadata = [] if code == "UNAUTHENTICATED" else [tokens.bearer()]
        codes = []
        for _ in range(CALLS):
            call = client.method("GetBook")(pb.GetBookRequest(name=book), metadata=metadata)
            codes.append((await call.code()).name)
        assert set(codes) == {code}

    with uncollected():
        run(tokens, scenario)
