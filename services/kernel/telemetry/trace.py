"""W3C trace context, and which trace the running code belongs to.

Costs nothing until somebody looks: an id is drawn only when it is sent or logged.
"""

import math
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

# https://www.w3.org/TR/trace-context/: a later version may append fields, ff is invalid.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_STATE = 512


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A position in a trace: ids in lower-case hexadecimal, and whether it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""

    @classmethod
    def parse(cls, traceparent: str, tracestate: str = "") -> "TraceContext | None":
        """Read the two headers; None where they mean nothing, which is never an error."""
        found = _TRACEPARENT.fullmatch(traceparent)
        if found is None or (found[1] == "00" and found[5] is not None):
            return None
        if not found[2].strip("0") or not found[3].strip("0"):
            return None
        state = tracestate if len(tracestate) <= _MAX_STATE else ""
        return cls(found[2], found[3], bool(int(found[4], 16) & 1), state)

    @classmethod
    def fresh(cls, *, sampled: bool = False) -> "TraceContext":
        """Begin a trace of random ids."""
        return cls(secrets.token_hex(16), secrets.token_hex(8), sampled)

    def header(self) -> str:
        """Answer the value of `traceparent`, which is also what an outbox row stores."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


class Trace:
    """The trace of one call or one step of a worker, with what its log lines name.

    `span` is the recording span, if the head decided to record. `caller` is hashed before it
    is logged. `deadline` is when the work must be done, in seconds of `time.monotonic`; calls
    to other services get no more than what is left.
    """

    __slots__ = ("_context", "caller", "deadline", "method", "span")

    def __init__(
        self, context: TraceContext | None = None, *, span: Any = None, method: str = ""
    ) -> None:
        self._context = context
        self.span: Final = span
        self.method: Final = method
        self.caller = ""
        self.deadline = math.inf

    @property
    def context(self) -> TraceContext:
        """The position that work done from here continues."""
        if self._context is None:
            self._context = TraceContext.fresh()
        return self._context


_current: ContextVar[Trace | None] = ContextVar("stoa_trace", default=None)


def current() -> Trace | None:
    """Answer the trace of the running code, None outside of any."""
    return _current.get()


def enter(trace: Trace) -> None:
    """Make `trace` the current one until the contextvars context ends.

    For server calls, which have a context of their own; there is nothing to undo, and undoing
    in another context is the bug that this avoids.
    """
    _current.set(trace)


def current_header() -> str:
    """Answer the `traceparent` to store with work that is done later; empty outside of any."""
    trace = _current.get()
    return trace.context.header() if trace is not None else ""


@contextmanager
def entered(trace: Trace) -> Iterator[Trace]:
    """Make `trace` the current one inside the block."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
