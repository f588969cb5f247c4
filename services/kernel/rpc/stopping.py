"""The moment at which a server begins to go down, for whoever waits or streams."""

import threading
from collections.abc import Callable

from services.kernel.errors import Unavailable


class Stopping:
    """Set once. What waits for something long waits for this too."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Tell everyone."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def is_set(self) -> bool:
        """Whether the server is going down."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; answer whether the server is going down."""
        return self._event.wait(seconds)

    def on_begin(self, callback: Callable[[], None]) -> None:
        """Call `callback` when it begins, at once if it has begun; from any thread."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()


def shutting_down() -> Unavailable:
    """Build the answer to what a server that goes down cannot finish."""
    return Unavailable(
        "the server is going down; call again", reason="SHUTTING_DOWN", retry_after=0.5
    )
