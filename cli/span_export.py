"""Sends the span of a command to a collector; imported where the environment names one."""

import logging
from typing import Final

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from cli.trace import Span

# Seconds: nobody waits longer for a command because a collector is away.
_TIMEOUT: Final = 2


class _Given(IdGenerator):
    """The ids that calls already carried."""

    def __init__(self, span: Span) -> None:
        self._span: Final = span

    def generate_span_id(self) -> int:
        return int(self._span.span_id, 16)

    def generate_trace_id(self) -> int:
        return int(self._span.trace_id, 16)


def send(span: Span) -> None:
    """Send one span by OTLP over gRPC, as the standard variables say."""
    # A collector that is away is no remark worth making at the end of every command.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource.create({"service.name": "cli"}),
        id_generator=_Given(span),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(timeout=_TIMEOUT)))
    context = Context()
    if span.parent_span_id:
        parent = otel.SpanContext(
            int(span.trace_id, 16),
            int(span.parent_span_id, 16),
            is_remote=True,
            trace_flags=otel.TraceFlags(otel.TraceFlags.SAMPLED),
        )
        context = otel.set_span_in_context(otel.NonRecordingSpan(parent), context)
    begun = provider.get_tracer("stoa").start_span(span.name, context, start_time=span.start)
    if span.failed:
        begun.set_status(otel.Status(otel.StatusCode.ERROR))
    begun.end(span.end)
    provider.shutdown()
