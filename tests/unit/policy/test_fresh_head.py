"""Asking for the newest revision, once for all who ask meanwhile."""

from services.kernel.telemetry import trace
from services.policy.authority import Head
from services.policy.fresh_head import FreshHead


def test_the_call_belongs_to_the_trace_of_whoever_asked_and_not_to_their_deadline() -> None:
    seen: list[tuple[str, float]] = []
    head = object()

    def fetch(timeout: float) -> Head:
        running = trace.current()
        assert running is not None
        seen.append((running.context.header(), running.deadline))
        return head  # type: ignore[return-value]

    asking = trace.Trace(trace.TraceContext.fresh(sampled=True))
    asking.deadline = 0.0
    fresh = FreshHead(fetch)
    with trace.entered(asking):
        assert fresh.get(5.0) is head
    fresh.close()
    assert seen == [(asking.context.header(), float("inf"))]
