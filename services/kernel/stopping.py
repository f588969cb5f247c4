"""A signal to stop that reaches everything that was started below it."""

import threading
import weakref
from collections.abc import Callable


class Stop(threading.Event):
    """An event that, once set, sets its children too; a child can be set alone."""

    def __init__(self) -> None:
        super().__init__()
        self._children: weakref.WeakSet[Stop] = weakref.WeakSet()
        self._callbacks: list[Callable[[], object]] = []
        self._followers_lock = threading.Lock()

    def child(self) -> "Stop":
        """Make an event that is set when this one is, or on its own."""
        child = Stop()
        with self._followers_lock:
            self._children.add(child)
        if self.is_set():
            child.set()
        return child

    def on_set(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, when this is set, or at once if it is."""
        with self._followers_lock:
            if not self.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def set(self) -> None:
        """Set this event, then its children, then call what waits for it."""
        with self._followers_lock:
            super().set()
            children = list(self._children)
            callbacks, self._callbacks = self._callbacks, []
        for child in children:
            child.set()
        for callback in callbacks:
            callback()
