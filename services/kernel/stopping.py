"""A signal to stop that reaches everything that was started below it."""

import threading
import weakref


class Stop(threading.Event):
    """An event that, once set, sets its children too; a child can be set alone."""

    def __init__(self) -> None:
        super().__init__()
        self._children: weakref.WeakSet[Stop] = weakref.WeakSet()
        self._children_lock = threading.Lock()

    def child(self) -> "Stop":
        """Make an event that is set when this one is, or on its own."""
        child = Stop()
        with self._children_lock:
            self._children.add(child)
        if self.is_set():
            child.set()
        return child

    def set(self) -> None:
        """Set this event, then its children."""
        super().set()
        with self._children_lock:
            children = list(self._children)
        for child in children:
            child.set()
