"""JSON log lines, written by a thread of their own so that no call waits for a file."""

import atexit
import contextlib
import hashlib
import json
import logging
import logging.handlers
import queue
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from services.kernel.telemetry import trace

# Lines that wait to be written; what comes beyond is counted and dropped, never waited for.
_WAITING: Final = 10_000
_EXTRA: Final = "stoa"
# Bearer tokens, JWTs, what signs or opens in the query of a URL, and the passwords before its @.
_SECRET = re.compile(
    r"(?i)\bbearer\s+[\w.~+/=-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|(?<=[?&])(sig|[\w-]{0,40}(signature|token|secret|password|key)[\w-]{0,40})=[^&\s'\"]+"
    r"|(?<=://)[^\s/?#@]{0,256}:[^\s@]{1,512}(?=@)"
)


def redacted(text: str) -> str:
    """Answer `text` without anything that looks like a credential."""
    return _SECRET.sub("[redacted]", text)


def caller_hash(caller: str) -> str:
    """Answer what stands for a caller in logs: the same for the same one, and not their id."""
    return hashlib.sha256(caller.encode()).hexdigest()[:16]


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """Answer the `extra=` argument that puts these fields into a log line."""
    return {_EXTRA: values}


class _Formatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for name, value in getattr(record, _EXTRA, {}).items():
            line[name] = redacted(value) if isinstance(value, str) else value
        if record.exc_text:
            line["exception"] = redacted(record.exc_text)
        return json.dumps(line, default=str, ensure_ascii=False)


class _Handler(logging.handlers.QueueHandler):
    """Hands lines over; what the thread knows of the call is read before they leave it."""

    def __init__(self, lines: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(lines)
        self._lines = lines
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        if record.exc_info:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info))
            record.exc_info = None
        running = trace.current()
        if running is not None:
            known = {"trace_id": running.context.trace_id, "span_id": running.context.span_id}
            if running.method:
                known["method"] = running.method
            if running.caller:
                known["subject"] = caller_hash(running.caller)
            record.__dict__[_EXTRA] = known | getattr(record, _EXTRA, {})
        record.msg = record.getMessage()
        record.args = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class Logging:
    """The logs of a process; `close` writes what still waits."""

    def __init__(self, service: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING)
        writer = logging.StreamHandler(stream or sys.stderr)
        writer.setFormatter(_Formatter(service))
        self._handler: Final = _Handler(lines)
        self._listener: Final = logging.handlers.QueueListener(lines, writer)
        self._listener.start()
        root = logging.getLogger()
        self._before: Final = (root.level, root.handlers[:])
        root.handlers[:] = [self._handler]
        root.setLevel(level)
        atexit.register(self.close)

    @property
    def dropped(self) -> int:
        """Lines that found the queue full."""
        return self._handler.dropped

    def close(self) -> None:
        """Write what waits and give the root logger back as it was."""
        atexit.unregister(self.close)
        root = logging.getLogger()
        if self._handler in root.handlers:
            level, handlers = self._before
            root.handlers[:] = handlers
            root.setLevel(level)
        # Stopping twice is an error of the listener, closing twice is none of ours. Where the
        # queue is full there is no room for the end either: the rest is lost.
        with contextlib.suppress(AttributeError, queue.Full):
            self._listener.stop()
