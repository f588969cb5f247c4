"""How many requests a bucket is sent at once: fewer as soon as it throttles, then more again.

Additive increase and multiplicative decrease (Chiu and Jain, 1989; replication specification 2.9).
A store is paced by each process for itself: what it answers is all that they have to agree on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from services.replication.content.errors import StoreUnavailable

T = TypeVar("T")

MOST: Final = 64
"""Requests at once where nothing is throttled: more than the copies of a process make."""

TRIES: Final = 8
"""Of one request, each with the short retries of the client (replication specification 2.10)."""

ROUNDS: Final = 16
"""How often as many as are let through are answered before one more is tried: the next refusal."""


class Pace:
    """Lets requests to one store through; may be called from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most: Final = most
        self._turn: Final = threading.Condition()
        self._limit = float(most)
        self._running = 0
        self._answered = 0
        self._lowered = 0

    @property
    def limit(self) -> int:
        """How many requests are let through at once."""
        return int(self._limit)

    def run(self, request: Callable[[], T]) -> T:
        """Make a request, and again where it was throttled in favour of others.

        Raises what it raised last: a store that throttles a request that is alone is not waited for
        here. It must make no other paced request.
        """
        tries = 0
        while True:
            answered, lowered = self._begin()
            failure: StoreUnavailable | None = None
            try:
                # That there is no such object, or that there is one already, is an answer too.
                return request()
            except StoreUnavailable as error:
                failure = error
                tries += 1
                if not error.is_throttled or tries == TRIES or not self._serves_others(answered):
                    raise
            finally:
                self._end(lowered, failure)

    def _begin(self) -> tuple[int, int]:
        with self._turn:
            self._turn.wait_for(lambda: self._running < self.limit)
            self._running += 1
            return self._answered, self._lowered

    def _serves_others(self, answered: int) -> bool:
        """Whether anybody was answered since, or may yet be."""
        with self._turn:
            return self._answered != answered or self._running > 1

    def _end(self, lowered: int, failure: StoreUnavailable | None) -> None:
        with self._turn:
            if failure is None:
                self._answered += 1
                self._limit = min(self._most, self._limit + 1 / (ROUNDS * self._limit))
            # Those that were under way when the limit was lowered say nothing about the new one.
            elif failure.is_throttled and lowered == self._lowered:
                self._limit = max(1.0, min(self._limit, self._running) / 2)
                self._lowered += 1
            self._running -= 1
            self._turn.notify_all()
