"""What leaves the process: spans and histograms by OTLP, spans as JSON lines in a file.

Imported only where an exporter is configured: the SDK costs as much as a quarter of a start.
"""

import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from services.kernel.telemetry.metrics import BOUNDS, CallDurations

SCOPE: Final = "stoa"


class FileSpanExporter(SpanExporter):
    """Appends a JSON line per finished span; processes may share the file."""

    def __init__(self, path: Path) -> None:
        # One write of one line to a file opened for appending is never mixed with another.
        self._file: Final = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans."""
        for span in spans:
            os.write(self._file, json.dumps(_line(span)).encode() + b"\n")
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        os.close(self._file)


def _line(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    return {
        "name": span.name,
        "service": span.resource.attributes.get("service.name"),
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": f"{context.span_id:016x}" if context else "",
        "parent_span_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "kind": span.kind.name,
        "start": span.start_time,
        "end": span.end_time,
        "status": span.status.status_code.name,
        "attributes": dict(span.attributes or {}),
    }


def tracer_provider(resource: Resource, *, otlp: bool, file: Path | None) -> TracerProvider:
    """Build what makes and exports spans; the head has decided before it is asked."""
    # At exit the owner shuts down: an atexit hook of the SDK would wait for a dead collector.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    if otlp:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if file is not None:
        provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter(file)))
    return provider


class DurationsExport:
    """Sends the histograms to a collector every `interval` seconds."""

    def __init__(
        self,
        resource: Resource,
        durations: dict[str, CallDurations],
        exporter: MetricExporter,
        interval: float,
    ) -> None:
        self._resource: Final = resource
        self._durations: Final = durations
        self._exporter: Final = exporter
        self._interval: Final = interval
        self._started: Final = time.time_ns()
        self._stop: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send once more and end."""
        self._stop.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._exporter.export(self._data())
        self._exporter.export(self._data())

    def _data(self) -> MetricsData:
        metrics = [self._metric(name, durations) for name, durations in self._durations.items()]
        scope = ScopeMetrics(InstrumentationScope(SCOPE), metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _metric(self, name: str, durations: CallDurations) -> Metric:
        now = time.time_ns()
        points = [
            HistogramDataPoint(
                {
                    "rpc.system.name": "grpc",
                    "rpc.method": found.method,
                    "rpc.response.status_code": found.code,
                },
                self._started,
                now,
                found.count,
                found.total,
                found.counts,
                BOUNDS,
                found.smallest,
                found.largest,
            )
            for found in durations.snapshot()
        ]
        return Metric(name, None, "s", Histogram(points, AggregationTemporality.CUMULATIVE))
