"""Threat T32: what a call sends beside its request is accepted always, or never."""

import logging
from typing import Any

import grpc
import pytest

from services.kernel.rpc.tokens import LARGE_TOKEN, MAX_TOKEN
from tests.wire.kernel.library import Client, Tokens, info_of, pb

Code = grpc.StatusCode
CALLS = 1000


def codes(client: Client, calls: int, *metadata: tuple[str, str]) -> set[Any]:
    found = set()
    for _ in range(calls):
        try:
            client("WhoAmI", pb.Text(), *metadata)
        except grpc.RpcError as error:
            found.add(error.code())
        else:
            found.add(Code.OK)
    return found


def test_t32_nine_kibibytes_of_metadata_are_accepted_every_time(client: Client) -> None:
    assert codes(client, CALLS, ("x-padding", "a" * 9 * 1024)) == {Code.OK}


def test_t32_metadata_beyond_the_limit_are_refused_every_time(client: Client) -> None:
    # The transport makes who sends too much wait: few calls are enough.
    for _ in range(20):
        assert codes(client, 1, ("x-padding", "a" * 17 * 1024)) == {Code.RESOURCE_EXHAUSTED}
        assert codes(client, 1) == {Code.OK}


def test_t32_a_token_of_nine_kibibytes_is_refused_by_name_every_time(
    channel: grpc.Channel, tokens: Tokens
) -> None:
    token = tokens.token(groups="g" * 9 * 1024)
    client = Client(channel, ("authorization", f"Bearer {token}"))
    assert codes(client, CALLS) == {Code.UNAUTHENTICATED}
    with pytest.raises(grpc.RpcError) as raised:
        client("WhoAmI", pb.Text())
    error: Any = raised.value
    assert info_of(error).reason == "UNAUTHENTICATED"
    assert str(MAX_TOKEN) in error.details()


def test_t32_a_large_token_is_accepted_and_its_issuer_named_in_the_log(
    channel: grpc.Channel, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    small = tokens.token(groups="g" * 1024)
    large = tokens.token(groups="g" * LARGE_TOKEN)
    for token in (small, large):
        client = Client(channel, ("authorization", f"Bearer {token}"))
        assert client("WhoAmI", pb.Text()).text == "t1/ann 0"
    (record,) = [one for one in caplog.records if "a token of" in one.getMessage()]
    assert "https://issuer.test" in record.getMessage()
    assert "eyJ" not in caplog.text
