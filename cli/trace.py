"""The trace of a command: one for all of its calls (https://www.w3.org/TR/trace-context/)."""

import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
# Set for the services too: spans are appended there as JSON lines of the same form.
FILE_VARIABLE: Final = "STOA_TELEMETRY_FILE"


@dataclass(frozen=True, slots=True)
class Span:
    """A finished command: ids in hexadecimal, times in nanoseconds since the epoch."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start: int
    end: int
    failed: bool


class CommandTrace:
    """The root span of a command; every call of the command is its child.

    It continues the trace of the environment's TRACEPARENT, so that a script can put several
    commands into one. People start few commands, so each one is sampled; whether anything is
    recorded is decided by what the services export.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        given = _TRACEPARENT.fullmatch(environ.get("TRACEPARENT", ""))
        self.trace_id: Final = given[1] if given else secrets.token_hex(16)
        self.span_id: Final = secrets.token_hex(8)
        self._parent: Final = given[2] if given else ""
        self._environ: Final = environ
        self._started: Final = time.time_ns()

    def header(self) -> str:
        """The value of `traceparent` that calls carry."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    def end(self, name: str, *, failed: bool) -> None:
        """Write and send the span where the environment asks for it."""
        file = self._environ.get(FILE_VARIABLE, "")
        collector = _wants_otlp(self._environ)
        if not (file or collector):
            return
        span = Span(
            name, self.trace_id, self.span_id, self._parent, self._started, time.time_ns(), failed
        )
        if file:
            _append(file, span)
        if collector:
            from cli.span_export import send

            send(span)


def _append(file: str, span: Span) -> None:
    line: dict[str, object] = {
        "name": span.name,
        "service": "cli",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "kind": "INTERNAL",
        "start": span.start,
        "end": span.end,
        "status": "ERROR" if span.failed else "UNSET",
        "attributes": {},
    }
    # One write of one line to a file opened for appending is never mixed with another.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)


def _wants_otlp(environ: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for spans by OTLP, as the services understand them."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER")
    if exporter is not None:
        return "otlp" in exporter.split(",")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(environ.get(variable) for variable in endpoints)
