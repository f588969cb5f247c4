"""W3C trace context is read strictly and continued wherever work goes on."""

import pytest

from services.kernel.telemetry import trace
from services.kernel.telemetry.trace import Trace, TraceContext
from services.kernel.telemetry.tracer import Tracer

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_header_is_read_and_written() -> None:
    context = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", "a=b")
    assert context == TraceContext(TRACE, SPAN, sampled=True, state="a=b")
    assert context.header() == f"00-{TRACE}-{SPAN}-01"
    unsampled = TraceContext.parse(f"00-{TRACE}-{SPAN}-02")
    assert unsampled is not None
    assert not unsampled.sampled


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
    ],
)
def test_a_header_that_means_nothing_is_ignored(header: str) -> None:
    assert TraceContext.parse(header) is None


def test_a_later_version_may_say_more() -> None:
    assert TraceContext.parse(f"01-{TRACE}-{SPAN}-01-more") is not None


def test_a_long_state_is_left_out() -> None:
    context = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", "a" * 513)
    assert context is not None
    assert context.state == ""


def test_outside_of_any_trace_there_is_nothing_to_store() -> None:
    assert trace.current() is None
    assert trace.current_header() == ""


def test_an_id_once_drawn_stays() -> None:
    with trace.entered(Trace()):
        assert trace.current_header() == trace.current_header()
        assert not trace.current_header().endswith("01")
    assert trace.current() is None


def test_a_step_continues_what_was_stored_or_else_what_runs() -> None:
    tracer = Tracer()
    stored = f"00-{TRACE}-{SPAN}-00"
    with tracer.span("send", traceparent=stored):
        assert trace.current_header() == stored
        with tracer.span("inside"):
            assert trace.current_header() == stored
    with tracer.span("send", traceparent="damaged"):
        assert TraceContext.parse(trace.current_header()) is not None
