"""Threat T25: a stream ends with what it was opened by."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.kernel.rpc import aio_server
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.call import Call
from tests.wire.kernel.library import ANN, Grants, Tokens, info_of, pb
from tests.wire.kernel.test_aio_server import failed, run

REQUEST = pb.ListBooksRequest(parent="shelves/a")


class Busy:
    """A stream that never ends and is never still."""

    async def WatchBooks(self, request: Any, call: Call) -> AsyncIterator[Any]:
        while True:
            yield pb.Book(name="x")
            await asyncio.sleep(0.01)


async def drained(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        continue


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_t25_a_stream_does_not_outlive_the_token_that_opened_it(tokens: Tokens, busy: bool) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        short = tokens.bearer(exp=int(time.time()) + 1)
        stream = client.method("WatchBooks")(REQUEST, metadata=[short], timeout=20)
        error = await failed(drained(stream))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert info_of(error).reason == "UNAUTHENTICATED"
        # One whose token is still good is not concerned.
        longer = client("WatchBooks", REQUEST, timeout=20)
        assert (await longer.read()).name
        assert len(server.streams) == 1

    run(tokens, scenario, Busy() if busy else None)


def test_t25_a_busy_stream_ends_when_access_is_lost(tokens: Tokens) -> None:
    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", REQUEST, timeout=20)
        await stream.read()
        grants.revoke((ANN, "Library/books/read", "shelves/a"))
        error = await failed(drained(stream))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED

    run(tokens, scenario, Busy())


def test_t25_what_ends_without_a_change_of_the_policy_is_found_too(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An assignment whose end has come is no new revision: the clock alone says so.
    monkeypatch.setattr(aio_server, "AUTHORIZE_EVERY", 0.1)

    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", REQUEST, timeout=20)
        await stream.read()
        grants.granted.clear()
        error = await failed(drained(stream))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED

    run(tokens, scenario)


def test_t25_a_stream_about_which_nothing_can_be_decided_any_more_ends(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    async def scenario(server: AioServer, client: Any, grants: Grants) -> None:
        stream = client("WatchBooks", REQUEST, timeout=20)
        await stream.read()
        monkeypatch.setattr(grants, "begin", broken)
        grants.revision += 1
        error = await failed(drained(stream))
        assert error.code() is grpc.StatusCode.UNAVAILABLE

    run(tokens, scenario)
