"""Cancels calls that were opened and whose request never comes.

A thread of the sync server waits for the request; without this, as many silent clients as the
pool has threads would keep everyone else out.
"""

import threading
import time
from typing import Any, Final

REQUEST_WITHIN: Final = 10.0


class Overdue:
    """Watches the calls of a process that wait for their request; `within` is in seconds."""

    def __init__(self, within: float = REQUEST_WITHIN) -> None:
        self._within: Final = within
        self._waiting: Final[dict[int, tuple[float, Any]]] = {}
        self._closed: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="overdue", daemon=True)
        self._thread.start()

    def watch(self, context: Any) -> None:
        """Cancel the call of `context` unless `forget` is called in time."""
        self._waiting[id(context)] = (time.monotonic() + self._within, context)

    def forget(self, context: Any) -> None:
        """Leave the call of `context` alone."""
        self._waiting.pop(id(context), None)

    def close(self) -> None:
        """End the watching thread."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(self._within / 10):
            now = time.monotonic()
            for until, context in list(self._waiting.values()):
                if now >= until:
                    context.cancel()
