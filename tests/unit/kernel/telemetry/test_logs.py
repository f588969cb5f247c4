"""Log lines are JSON, say which call they belong to, and hold no credential."""

import io
import json
import logging
from typing import Any

import pytest

from services.kernel.telemetry import logs, trace
from services.kernel.telemetry.logs import Logging, caller_hash, redacted
from services.kernel.telemetry.trace import Trace, TraceContext


def written(write: Any) -> list[dict[str, Any]]:
    stream = io.StringIO()
    logging_ = Logging("library", stream=stream)
    try:
        write()
    finally:
        logging_.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_names_its_trace_method_and_caller() -> None:
    context = TraceContext.fresh()
    running = Trace(context, method="a.B/C")
    running.caller = "t/ann"

    def write() -> None:
        with trace.entered(running):
            logging.getLogger("x").warning("%s went %s", "it", "wrong", extra=logs.fields(code="X"))

    (line,) = written(write)
    assert line["message"] == "it went wrong"
    assert (line["level"], line["service"], line["logger"]) == ("WARNING", "library", "x")
    assert (line["trace_id"], line["span_id"]) == (context.trace_id, context.span_id)
    assert (line["method"], line["code"]) == ("a.B/C", "X")
    assert line["subject"] == caller_hash("t/ann")
    assert "ann" not in json.dumps(line)


def test_outside_of_a_call_a_line_names_none() -> None:
    (line,) = written(lambda: logging.getLogger("x").info("hello"))
    assert "trace_id" not in line


def test_t29_a_field_holds_no_credential_either() -> None:
    def write() -> None:
        found = logs.fields(store="s3://me:abc@bucket/x", seconds=0.5)
        logging.getLogger("x").info("away", extra=found)

    (line,) = written(write)
    assert (line["store"], line["seconds"]) == ("s3://[redacted]@bucket/x", 0.5)


def test_a_traceback_is_one_field() -> None:
    def write() -> None:
        try:
            raise ZeroDivisionError("Bearer abc.def")
        except ZeroDivisionError:
            logging.getLogger("x").exception("failed")

    (line,) = written(write)
    assert "ZeroDivisionError" in line["exception"]
    assert "abc.def" not in line["exception"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("authorization: Bearer eyJh.eyJz.c2ln-_", "authorization: [redacted]"),
        ("token eyJhbGci.eyJzdWIi.c2ln end", "token [redacted] end"),
        ("https://x/y?sv=1&sig=abc%2F&se=2", "https://x/y?sv=1&[redacted]&se=2"),
        ("https://x/y?X-Amz-Signature=abc", "https://x/y?[redacted]"),
        ("'https://x/y?X-Amz-Security-Token=abc&e=6'", "'https://x/y?[redacted]&e=6'"),
        ("'https://x/y?X-Goog-Signature=abc'", "'https://x/y?[redacted]'"),
        ("s3://b/p?secret_access_key=abc", "s3://b/p?[redacted]"),
        ("az://c?sas_token=sig%3Dabc", "az://c?[redacted]"),
        ("s3://me:abc@bucket/x", "s3://[redacted]@bucket/x"),
        ("s3://me:abc/d@bucket/x", "s3://[redacted]@bucket/x"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1:80/x"),
        ("the bearer of bad news", "the [redacted] bad news"),
        ("nothing secret", "nothing secret"),
    ],
)
def test_t29_what_looks_like_a_credential_is_taken_out(text: str, left: str) -> None:
    assert redacted(text) == left


def test_closing_gives_the_root_logger_back_and_may_be_repeated() -> None:
    before = logging.getLogger().handlers[:]
    logging_ = Logging("x", stream=io.StringIO())
    assert logging.getLogger().handlers != before
    logging_.close()
    logging_.close()
    assert logging.getLogger().handlers == before


def test_lines_beyond_the_queue_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_WAITING", 1)

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            while logging_.dropped == 0:
                pass
            return super().write(text)

    logging_ = Logging("x", stream=Slow())
    for number in range(100):
        logging.getLogger("x").info("%d", number)
    dropped = logging_.dropped
    logging_.close()
    assert dropped >= 1
