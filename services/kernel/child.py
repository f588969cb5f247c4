"""What a child process does for its parent: it reports when it serves, and ends with it."""

import json
import logging
import os
import selectors
import signal
import socket
import threading
from collections.abc import MutableMapping
from types import FrameType
from typing import Final

from services.kernel.process import (
    CORE_VARIABLE,
    LIFELINE_VARIABLE,
    PLACE_VARIABLE,
    READY_VARIABLE,
)
from services.kernel.stopping import Stop

_LOG = logging.getLogger(__name__)


class CannotServe(RuntimeError):
    """A child cannot do its part as things are; its message, one line, says why."""


class Child:
    """The process's side of `Supervisor`; without a parent it just obeys signals.

    `stop` is set by SIGTERM, SIGINT and the death of the parent. A child that has not
    ended `grace` seconds after losing its parent is ended the hard way, since nobody is
    left to do that.

    `place` is what this process and those in whose stead it was started have in common, and
    no other process anywhere; they are all gone, which the parent has seen. Empty without one.
    """

    def __init__(
        self,
        *,
        grace: float = 30.0,
        environ: MutableMapping[str, str] = os.environ,
    ) -> None:
        """Call it once, on the main thread, before other threads are started."""
        self.stop: Final = Stop()
        self._grace: Final = grace
        # Taken out of the environment, so that what this process starts is nobody's child.
        self._lifeline: Final = _descriptor(environ, LIFELINE_VARIABLE)
        self._ready: int | None = _descriptor(environ, READY_VARIABLE)
        self.place: Final = environ.pop(PLACE_VARIABLE, "")
        core = environ.pop(CORE_VARIABLE, "")
        if core and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {int(core)})
        # A handler that set the event itself could interrupt the thread that holds its
        # lock. So signals go through a descriptor to a thread of their own.
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _note)
        threading.Thread(target=self._watch, name="child-watch", daemon=True).start()

    def ready(self, **report: str | int) -> None:
        """Tell the parent that this process serves, with for example the ports it chose."""
        if self._ready is None:
            return
        os.write(self._ready, json.dumps(report).encode() + b"\n")
        os.close(self._ready)
        self._ready = None

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakened, selectors.EVENT_READ)
            if self._lifeline is not None:
                selector.register(self._lifeline, selectors.EVENT_READ)
            while True:
                for event, _ in selector.select():
                    if event.fileobj is self._wakened:
                        if {signal.SIGTERM, signal.SIGINT} & set(self._wakened.recv(4096)):
                            self.stop.set()
                    else:
                        # Nothing is ever written to it: this is its end.
                        selector.unregister(event.fileobj)
                        self._orphaned()

    def _orphaned(self) -> None:
        _LOG.error("the parent process is gone")
        killer = threading.Timer(self._grace, os._exit, (1,))
        killer.daemon = True
        killer.start()
        self.stop.set()


def _descriptor(environ: MutableMapping[str, str], name: str) -> int | None:
    value = environ.pop(name, "")
    if not value:
        return None
    descriptor = int(value)
    os.set_inheritable(descriptor, False)
    return descriptor


def _note(_: int, __: FrameType | None) -> None:
    """Keep the signal from its default effect; the wake-up descriptor carries its number."""
