"""Spans of calls and of steps of work, on the stable OpenTelemetry SDK.

Whether to record is decided before any span object is built (performance.md 1b: deciding
later costs a third of a call). Where nothing is exported nothing is recorded, the SDK is not
even imported, and incoming context is passed on as it came.
"""

import enum
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from services.kernel.telemetry import trace
from services.kernel.telemetry.trace import Trace, TraceContext

DEFAULT_RATIO: Final = 0.01
# Its own source: the state of the shared one belongs to the program that this runs in.
_CHANCE: Final = random.SystemRandom()

# The codes that are the server's fault, by the gRPC conventions of OpenTelemetry.
SERVER_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


class SpanKind(enum.Enum):
    """Which side of what a span is."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


class Tracer:
    """Decides at the head and makes spans; `sdk_tracer` None records nothing."""

    __slots__ = ("_otel", "ratio")

    def __init__(self, sdk_tracer: Any = None, ratio: float = DEFAULT_RATIO) -> None:
        self._otel: Final = sdk_tracer
        self.ratio: Final = ratio

    def begin(
        self,
        name: str,
        kind: SpanKind,
        parent: TraceContext | None,
        attributes: Mapping[str, Any],
        *,
        method: str = "",
    ) -> Trace:
        """Begin a call or a step; whoever begins it ends it with `end`.

        The parent's decision is kept; where there is no parent, `ratio` of all are recorded.
        """
        if self._otel is None or not self._records(parent):
            return Trace(parent, method=method)
        span = self._span(name, kind, parent, attributes)
        found = span.get_span_context()
        context = TraceContext(
            f"{found.trace_id:032x}", f"{found.span_id:016x}", True, parent.state if parent else ""
        )
        return Trace(context, span=span, method=method)

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        traceparent: str = "",
    ) -> Iterator[Trace]:
        """Make a step of work the current trace inside the block.

        It continues `traceparent`, which an outbox row stored, or else the current trace.
        An exception marks it failed and goes on.
        """
        running = trace.current()
        parent = TraceContext.parse(traceparent) if traceparent else None
        if parent is None and running is not None:
            parent = running.context
        begun = self.begin(
            name,
            SpanKind.INTERNAL,
            parent,
            attributes or {},
            method=running.method if running else "",
        )
        if running is not None:
            begun.caller = running.caller
            begun.deadline = running.deadline
        with trace.entered(begun):
            try:
                yield begun
            except BaseException as error:
                end(begun, error=type(error).__name__)
                raise
        end(begun)

    def _records(self, parent: TraceContext | None) -> bool:
        return parent.sampled if parent is not None else _CHANCE.random() < self.ratio

    def _span(
        self, name: str, kind: SpanKind, parent: TraceContext | None, attributes: Mapping[str, Any]
    ) -> Any:
        from opentelemetry import trace as otel
        from opentelemetry.context import Context

        context = Context()
        if parent is not None:
            remote = otel.SpanContext(
                int(parent.trace_id, 16),
                int(parent.span_id, 16),
                is_remote=True,
                trace_flags=otel.TraceFlags(otel.TraceFlags.SAMPLED),
                trace_state=otel.TraceState.from_header([parent.state]) if parent.state else None,
            )
            context = otel.set_span_in_context(otel.NonRecordingSpan(remote), context)
        return self._otel.start_span(
            name, context, kind=otel.SpanKind[kind.value], attributes=dict(attributes)
        )


def end(ended: Trace, attributes: Mapping[str, Any] | None = None, *, error: str = "") -> None:
    """End what `Tracer.begin` began; `error` names the kind of failure, empty for success."""
    span = ended.span
    if span is None:
        return
    if attributes:
        span.set_attributes(attributes)
    if error:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
