"""The trace of a command: one for all of its calls (https://www.w3.org/TR/trace-context/)."""

import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from typing import Final

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
# Set for the services too: spans are appended there as JSON lines of the same form.
FILE_VARIABLE: Final = "STOA_TELEMETRY_FILE"


class CommandTrace:
    """The root span of a command; every call of the command is its child.

    It continues the trace of the environment's TRACEPARENT, so that a script can put several
    commands into one. People start few commands, so each one is sampled; whether anything is
    recorded is decided by what the services export.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        given = _TRACEPARENT.fullmatch(environ.get("TRACEPARENT", ""))
        self.trace_id: Final = given[1] if given else secrets.token_hex(16)
        self.parent_span_id: Final = given[2] if given else ""
        self.span_id: Final = secrets.token_hex(8)
        self._file: Final = environ.get(FILE_VARIABLE, "")
        self._started: Final = time.time_ns()

    def header(self) -> str:
        """The value of `traceparent` that calls carry."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    def end(self, name: str, *, failed: bool) -> None:
        """Write the span where the environment asks for it."""
        if not self._file:
            return
        line: dict[str, object] = {
            "name": name,
            "service": "cli",
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_span_id": self.parent_span_id,
            "kind": "INTERNAL",
            "start": self._started,
            "end": time.time_ns(),
            "status": "ERROR" if failed else "UNSET",
            "attributes": {},
        }
        # One write of one line to a file opened for appending is never mixed with another.
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
        finally:
            os.close(file)
