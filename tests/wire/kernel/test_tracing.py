"""One trace covers a call and the calls made for it, with the time that is left for them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.kernel.errors import StoaError
from services.kernel.rpc.call import Call
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.remote import RemoteStatus, translated
from services.kernel.rpc.server import Server
from services.kernel.telemetry.telemetry import Telemetry
from services.kernel.telemetry.trace import TraceContext
from tests.wire.kernel.certificates import Authority
from tests.wire.kernel.library import (
    DOMAIN,
    EVERYTHING,
    LIBRARY,
    STOCK,
    Client,
    Grants,
    Tokens,
    info_of,
    pb,
    raise_as_named,
)

Spans = Callable[[], list[dict[str, Any]]]


class Back:
    """The service behind: remembers its calls, fails as it is told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def CountStock(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        raise_as_named(request.text)
        return pb.Text(text="7")


class Front:
    """The service in front: asks the one behind."""

    def __init__(self) -> None:
        self.ask: Any = None

    def WhoAmI(self, request: Any, call: Call) -> Any:
        try:
            return self.ask(request)
        except grpc.RpcError as error:
            if RemoteStatus.of(error).reason == "RESOURCE_NOT_FOUND":
                raise translated(error, "stock") from error
            raise


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Callable[[str], Telemetry]]:
    made: list[Telemetry] = []

    def make(service: str) -> Telemetry:
        environ = {
            "STOA_TELEMETRY_FILE": str(tmp_path / "spans.jsonl"),
            "OTEL_TRACES_SAMPLER": "always_off",
        }
        made.append(Telemetry.from_environment(service, environ))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()


@pytest.fixture
def spans(tmp_path: Path) -> Spans:
    def read() -> list[dict[str, Any]]:
        path = tmp_path / "spans.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    return read


@pytest.fixture
def back() -> Back:
    return Back()


@pytest.fixture
def client(
    tokens: Tokens, back: Back, telemetry: Callable[[str], Telemetry], tmp_path: Path
) -> Iterator[Client]:
    """Calls the service in front, which calls the one behind over mTLS."""
    authority = Authority()
    files = authority.issue(tmp_path / "stock", "spiffe://stoa/svc/stock")
    guards = Guards(tokens.authenticator, Grants(*EVERYTHING))
    behind = Server(
        ServerSettings(DOMAIN, internal=Listen("127.0.0.1:0", files), grace=0.2),
        guards,
        telemetry("stock"),
    )
    behind.register(STOCK, back)
    port = behind.start()[Audience.INTERNAL]

    front_telemetry = telemetry("library")
    servicer = Front()
    in_front = Server(
        ServerSettings(DOMAIN, client=Listen("127.0.0.1:0"), grace=0.2), guards, front_telemetry
    )
    in_front.register(LIBRARY, servicer)
    workload = authority.issue(tmp_path / "catalog", "spiffe://stoa/svc/catalog")
    channel = ServiceChannel(
        f"127.0.0.1:{port}", workload, services=[STOCK], telemetry=front_telemetry
    )
    servicer.ask = Client(channel).method(f"{STOCK}/CountStock")
    address = f"127.0.0.1:{in_front.start()[Audience.CLIENT]}"
    with grpc.insecure_channel(address) as outer, channel:
        yield Client(outer, tokens.bearer())
    in_front.stop()
    behind.stop()


def test_a_sampled_call_is_one_trace_over_both_services(
    client: Client, spans: Spans, back: Back
) -> None:
    caller = TraceContext.fresh(sampled=True)
    assert client("WhoAmI", pb.Text(), ("traceparent", caller.header())).text == "7"
    behind, asking, front = spans()
    assert {one["trace_id"] for one in (behind, asking, front)} == {caller.trace_id}
    assert front["parent_span_id"] == caller.span_id
    assert asking["parent_span_id"] == front["span_id"]
    assert behind["parent_span_id"] == asking["span_id"]
    assert [one["kind"] for one in (front, asking, behind)] == ["SERVER", "CLIENT", "SERVER"]
    assert [one["service"] for one in (front, behind)] == ["stoa-library", "stoa-stock"]
    assert front["name"] == f"{LIBRARY}/WhoAmI"
    assert front["attributes"] == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{LIBRARY}/WhoAmI",
        "rpc.response.status_code": "OK",
    }


def test_an_unsampled_call_keeps_its_trace_id_and_builds_no_span(
    client: Client, spans: Spans, back: Back
) -> None:
    caller = TraceContext.fresh()
    client("WhoAmI", pb.Text(), ("traceparent", caller.header()))
    client("WhoAmI", pb.Text())
    assert spans() == []
    assert back.calls[0].trace.context.trace_id == caller.trace_id
    assert back.calls[1].trace.context.trace_id != caller.trace_id


def test_the_real_final_code_is_recorded(client: Client, spans: Spans) -> None:
    sampled = ("traceparent", TraceContext.fresh(sampled=True).header())
    with pytest.raises(grpc.RpcError) as failed:
        client("WhoAmI", pb.Text(text="bug"), sampled)
    assert info_of(failed.value).reason == "INTERNAL"
    behind, asking, front = spans()
    for one in (behind, asking, front):
        assert one["attributes"]["rpc.response.status_code"] == "INTERNAL"
        assert one["attributes"]["error.type"] == "INTERNAL"
        assert one["status"] == "ERROR"


def test_what_is_the_callers_fault_is_no_error_of_the_server(client: Client, spans: Spans) -> None:
    sampled = ("traceparent", TraceContext.fresh(sampled=True).header())
    with pytest.raises(grpc.RpcError):
        client("WhoAmI", pb.Text(text="not_found"), sampled)
    behind, asking, _ = spans()
    assert (behind["status"], asking["status"]) == ("UNSET", "ERROR")


@pytest.mark.parametrize(
    ("told", "code", "reason"),
    [
        ("unavailable", "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE"),
        ("deadline", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        ("quota", "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE"),
        ("not_found", "INTERNAL", "INTERNAL"),
        ("exists", "INTERNAL", "INTERNAL"),
        ("bug", "INTERNAL", "INTERNAL"),
    ],
)
def test_a_status_from_behind_is_translated_and_never_passed_on(
    client: Client, told: str, code: str, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        client("WhoAmI", pb.Text(text=told))
    error: Any = failed.value
    assert error.code().name == code
    assert info_of(error).reason == reason
    assert "shelves" not in str(error)


def test_a_read_is_tried_again_while_a_service_is_unavailable_and_never_otherwise(
    client: Client, back: Back
) -> None:
    for told, attempts in (("unavailable", 3), ("not_found", 1), ("bug", 1)):
        back.calls.clear()
        with pytest.raises(grpc.RpcError):
            client("WhoAmI", pb.Text(text=told))
        assert len(back.calls) == attempts


def test_what_is_left_of_the_time_is_passed_on(client: Client, back: Back) -> None:
    client("WhoAmI", pb.Text(), timeout=1.5)
    # gRPC rounds what it sends up by some milliseconds.
    assert 0 < back.calls[0].time_remaining() < 1.9
    client("WhoAmI", pb.Text(), timeout=60)
    # The default of a read from service to service.
    assert back.calls[1].time_remaining() < 2.5


def test_a_remote_status_is_decoded_with_its_details(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        client("GetBook", pb.GetBookRequest(name="x", copies=9))
    status = RemoteStatus.of(failed.value)
    assert (status.code.name, status.reason, status.domain) == (
        "UNIMPLEMENTED",
        "UNIMPLEMENTED",
        DOMAIN,
    )
    assert isinstance(translated(failed.value, "x"), StoaError)
