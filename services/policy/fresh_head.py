"""The newest position of the log, as of after one asked (authorization.md 3, rule 2)."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from services.kernel.errors import Unavailable
from services.kernel.telemetry import trace
from services.policy.authority import Head

#: What one GetHead may take, in seconds, whoever waits for it and however long they can.
TIMEOUT: Final = 1.0


class FreshHead:
    """Shares one GetHead among all who ask before it begins.

    Whoever asks while a call is under way waits for the next one: the call under way may
    have read the head before a revocation that was acknowledged before the question.
    The calls are made on a thread of their own, so that none is bound by the deadline of
    one among those who wait for it. Each belongs to the trace of whoever asked first.
    """

    def __init__(self, fetch: Callable[[float], Head]) -> None:
        """`fetch` asks for the head, with a timeout in seconds."""
        self._fetch: Final = fetch
        self._lock: Final = threading.Lock()
        # One thread: those who come while it is busy gather for its next turn.
        self._turns: Final = ThreadPoolExecutor(1, thread_name_prefix="policy-head")
        self._next: Future[Head] | None = None

    def get(self, timeout: float) -> Head:
        """Answer the head, from a call that begins after this one did.

        Raises:
            Unavailable: no answer came within `timeout` seconds.
        """
        with self._lock:
            if self._next is None:
                running = trace.current()
                context = running.context if running is not None else None
                self._next = self._turns.submit(self._take_turn, trace.Trace(context))
            asked = self._next
        try:
            return asked.result(max(0.0, timeout))
        except TimeoutError:
            raise no_answer() from None

    def close(self) -> None:
        """Ask no more."""
        self._turns.shutdown(wait=False, cancel_futures=True)

    def _take_turn(self, asking: trace.Trace) -> Head:
        with self._lock:
            self._next = None
        with trace.entered(asking):
            return self._fetch(TIMEOUT)


def no_answer() -> Unavailable:
    """Build the error for authz not answering: the call fails, it is never let through."""
    return Unavailable(
        "the authz service does not answer", metadata={"service": "authz"}, retry_after=1.0
    )
