"""What is exported is what the standard variables ask for, and nothing else is loaded."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from services.kernel.telemetry.telemetry import Telemetry
from services.kernel.telemetry.trace import TraceContext
from services.kernel.telemetry.tracer import SpanKind, end


class Collector(
    trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer
):
    """What an OTLP collector receives; both services have one method of the same name."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            return trace_service_pb2.ExportTraceServiceResponse()
        return metrics_service_pb2.ExportMetricsServiceResponse()


def test_spans_and_durations_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The exporters read the environment of the process themselves.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    telemetry = Telemetry.from_environment("library")
    try:
        begun = telemetry.tracer.begin("a.B/C", SpanKind.SERVER, None, {"x": "y"})
        end(begun)
        telemetry.server_durations.record("a.B/C", "OK", 0.2)
    finally:
        telemetry.close()
        server.stop(None).wait()
    spans = [
        span
        for request in collector.requests
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert [span.name for span in spans] == ["a.B/C"]
    metrics = {
        metric.name: metric
        for request in collector.requests
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    point = metrics["rpc.server.call.duration"].histogram.data_points[0]
    assert (point.count, point.sum) == (1, 0.2)
    assert {one.key: one.value.string_value for one in point.attributes} == {
        "rpc.system.name": "grpc",
        "rpc.method": "a.B/C",
        "rpc.response.status_code": "OK",
    }


@pytest.mark.parametrize(
    ("environ", "parent", "recorded"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_on"}, None, 50),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, None, 0),
        ({"OTEL_TRACES_SAMPLER_ARG": "0"}, None, 0),
        ({"OTEL_TRACES_SAMPLER_ARG": "1"}, None, 50),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, False, 0),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, True, 50),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, True, 0),
    ],
)
def test_the_head_decides_and_the_caller_is_heard(
    tmp_path: Path, environ: dict[str, str], parent: bool | None, recorded: int
) -> None:
    file = tmp_path / "spans.jsonl"
    if "OTEL_SDK_DISABLED" not in environ:
        environ = environ | {"STOA_TELEMETRY_FILE": str(file)}
    telemetry = Telemetry.from_environment("library", environ)
    try:
        context = None if parent is None else TraceContext.fresh(sampled=parent)
        for _ in range(50):
            end(telemetry.tracer.begin("x", SpanKind.SERVER, context, {}))
    finally:
        telemetry.close()
    written = file.read_text().splitlines() if file.exists() else []
    assert len(written) == recorded


def test_one_percent_is_recorded_by_default(tmp_path: Path) -> None:
    environ = {"STOA_TELEMETRY_FILE": str(tmp_path / "spans.jsonl")}
    telemetry = Telemetry.from_environment("library", environ)
    telemetry.close()
    assert telemetry.tracer.ratio == 0.01


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
        {"OTEL_TRACES_SAMPLER_ARG": "2"},
        {"OTEL_TRACES_SAMPLER_ARG": "some"},
    ],
)
def test_a_sampler_that_means_nothing_stops_the_start(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    file = {"STOA_TELEMETRY_FILE": str(tmp_path / "x")}
    with pytest.raises(ValueError, match=r"OTEL_TRACES_SAMPLER|convert"):
        Telemetry.from_environment("library", environ | file)


def test_a_failed_step_is_marked_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    environ = {"STOA_TELEMETRY_FILE": str(file), "OTEL_TRACES_SAMPLER": "always_on"}
    telemetry = Telemetry.from_environment("library", environ)
    try:
        with pytest.raises(KeyError), telemetry.tracer.span("step", {"n": 1}):
            raise KeyError("x")
    finally:
        telemetry.close()
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["name"], line["status"], line["kind"]) == ("step", "ERROR", "INTERNAL")
    assert line["attributes"] == {"n": 1, "error.type": "KeyError"}


def test_spans_of_threads_are_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    environ = {"STOA_TELEMETRY_FILE": str(file), "OTEL_TRACES_SAMPLER": "always_on"}
    telemetry = Telemetry.from_environment("library", environ)

    def work() -> None:
        for _ in range(50):
            end(telemetry.tracer.begin("x", SpanKind.INTERNAL, None, {"y": "z" * 500}))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    telemetry.close()
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 200


def test_nothing_of_the_sdk_is_loaded_where_nothing_is_exported() -> None:
    code = (
        "import sys; from services.kernel.telemetry.telemetry import Telemetry;"
        "from services.kernel.rpc import server, aio_server, client;"
        "Telemetry.from_environment('x', {}).close();"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'sqlalchemy'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"
