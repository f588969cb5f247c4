from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from cli.trace import CommandTrace

TRACE, PARENT = "a" * 32, "b" * 16


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[trace_service_pb2.ExportTraceServiceRequest] = []
        self.endpoint = ""

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self.received.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(found, server)
    found.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
    server.start()
    yield found
    server.stop(None).wait()


def test_the_span_of_a_command_reaches_the_collector(collector: Collector) -> None:
    environ = {
        "TRACEPARENT": f"00-{TRACE}-{PARENT}-01",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
    }
    trace = CommandTrace(environ)
    trace.end("stoa up", failed=True)
    (request,) = collector.received
    (resource,) = request.resource_spans
    (span,) = resource.scope_spans[0].spans
    assert span.name == "stoa up"
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    assert f"00-{TRACE}-{span.span_id.hex()}-01" == trace.header()
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert span.start_time_unix_nano < span.end_time_unix_nano


@pytest.mark.parametrize(
    "environ", [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}]
)
def test_nothing_is_sent_where_nobody_asked(environ: dict[str, str], collector: Collector) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint} if environ else {}
    CommandTrace(asked | environ).end("stoa up", failed=False)
    assert collector.received == []
