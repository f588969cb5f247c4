"""The processes of a service: one parent, which serves nothing, and its children.

The parent migrates, starts the server children and the workers child by executing the
program anew (a forked gRPC or SQLite would be broken), starts anew what dies, and ends
them all when it is told to. A child that loses its parent ends by itself (`child.py`).
"""

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from services.kernel.backoff import backoff
from services.kernel.ids import new_uid

CORE_VARIABLE: Final = "STOA_CHILD_CORE"
LIFELINE_VARIABLE: Final = "STOA_CHILD_LIFELINE"
PLACE_VARIABLE: Final = "STOA_CHILD_PLACE"
READY_VARIABLE: Final = "STOA_CHILD_READY"
EXIT_CONFIG: Final = 78  # EX_CONFIG of sysexits.h: starting again would not help

_LOG = logging.getLogger(__name__)
_STEADY_SECONDS = 30.0
_EARLY_DEATHS = 5
_RETRY_BASE, _RETRY_CAP = 0.2, 10.0


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of child, `count` of them; `pinned` ones get a core each where they are several."""

    name: str
    count: int = 1
    pinned: bool = False


@dataclass(slots=True, eq=False)
class _Slot:
    """A place for one child, filled again whenever the child dies."""

    role: str
    index: int
    core: int | None
    process: "subprocess.Popen[bytes] | None" = None
    ready_fd: int | None = None
    received: bytes = b""
    ready: dict[str, Any] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Runs `python -m <module> --role <role> --index <i> <arguments>` for every child.

    Once all children serve, `ready_file` is written: one line of JSON per child with its
    role, index, pid and what it reported. It is removed before and after. `grace` is how
    many seconds the children get to finish what they do.
    """

    module: str
    roles: Sequence[Role]
    arguments: Sequence[str] = ()
    ready_file: Path | None = None
    grace: float = 30.0
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _slots: list[_Slot] = field(default_factory=list, init=False)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector, init=False)
    _lifeline: tuple[int, int] = field(default=(-1, -1), init=False)
    _life: str = field(default_factory=new_uid, init=False)
    _ending: bool = field(default=False, init=False)
    _code: int = field(default=0, init=False)

    def run(self, migrate: Callable[[], object] | None = None) -> int:
        """Migrate, start the children and keep them running until SIGTERM or SIGINT.

        Answers the exit code: 0 when the children ended in time, 1 when one had to be
        killed, that of the child when starting it again cannot help.
        """
        self._remove_ready_file()
        if migrate is not None:
            migrate()
        # Every child inherits the read end. It reads nothing until the last copy of the
        # write end is closed, which the death of this process does, however it dies.
        self._lifeline = os.pipe()
        waker, wakened = socket.socketpair()
        waker.setblocking(False)
        wakened.setblocking(False)
        former_fd = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        former = {
            number: signal.signal(number, _note)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        }
        self._selector.register(wakened, selectors.EVENT_READ)
        self._slots = _slots(self.roles)
        try:
            return self._loop(wakened)
        finally:
            self._remove_ready_file()
            signal.set_wakeup_fd(former_fd)
            for number, handler in former.items():
                signal.signal(number, handler)
            for slot in self._slots:
                self._forget_pipe(slot)
            self._selector.close()
            waker.close()
            wakened.close()
            for end in self._lifeline:
                os.close(end)

    def _loop(self, wakened: socket.socket) -> int:
        deadline = 0.0
        while True:
            now = time.monotonic()
            if not self._ending:
                self._start_due(now)
            elif all(slot.process is None for slot in self._slots):
                return self._code
            elif now >= deadline:
                self._signal_all(signal.SIGKILL)
                self._code = self._code or 1
            for event, _ in self._selector.select(self._patience(now, deadline)):
                if event.fileobj is wakened:
                    received = _drained(wakened)
                    if signal.SIGTERM in received or signal.SIGINT in received:
                        # Told a second time, the children are not waited for.
                        deadline = now if self._ending else now + self.grace
                        self._end()
                else:
                    self._receive(event.data)
            if self._reap() and not self._ending:
                deadline = time.monotonic() + self.grace
                self._end()

    def _patience(self, now: float, deadline: float) -> float | None:
        if self._ending:
            return max(deadline - now, 0.05)
        waiting = [slot.start_at for slot in self._slots if slot.process is None]
        return max(min(waiting) - now, 0.0) if waiting else None

    def _start_due(self, now: float) -> None:
        for slot in self._slots:
            if slot.process is None and slot.start_at <= now:
                self._start(slot)

    def _start(self, slot: _Slot) -> None:
        slot.ready_fd, child_end = os.pipe()
        os.set_blocking(slot.ready_fd, False)
        slot.received, slot.ready, slot.started = b"", None, time.monotonic()
        environ = dict(self.environ)
        environ[LIFELINE_VARIABLE] = str(self._lifeline[0])
        environ[READY_VARIABLE] = str(child_end)
        environ[PLACE_VARIABLE] = f"{self._life}/{slot.role}/{slot.index}"
        environ.pop(CORE_VARIABLE, None)
        if slot.core is not None:
            environ[CORE_VARIABLE] = str(slot.core)
        command = [sys.executable, "-m", self.module]
        command += ["--role", slot.role, "--index", str(slot.index), *self.arguments]
        try:
            slot.process = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=(self._lifeline[0], child_end),
                # A Ctrl-C of the terminal reaches the parent alone, which then ends them.
                process_group=0,
            )
        finally:
            os.close(child_end)
        self._selector.register(slot.ready_fd, selectors.EVENT_READ, slot)

    def _receive(self, slot: _Slot) -> None:
        if slot.ready_fd is None:
            return
        received = os.read(slot.ready_fd, 65536)
        slot.received += received
        if not received or b"\n" in slot.received:
            self._forget_pipe(slot)
        if b"\n" not in slot.received or slot.process is None:
            return
        reported = json.loads(slot.received.partition(b"\n")[0])
        slot.ready = {"role": slot.role, "index": slot.index, "pid": slot.process.pid} | reported
        if all(one.ready is not None for one in self._slots):
            self._write_ready_file()

    def _reap(self) -> bool:
        """Note which children died; answer whether there is no point in going on."""
        hopeless = False
        for slot in self._slots:
            if slot.process is None or (code := slot.process.poll()) is None:
                continue
            lived = time.monotonic() - slot.started
            was_ready = slot.ready is not None
            self._forget_pipe(slot)
            slot.process, slot.ready = None, None
            if self._ending:
                continue
            _LOG.error("%s %d ended with %d", slot.role, slot.index, code)
            slot.failures = 1 if was_ready and lived >= _STEADY_SECONDS else slot.failures + 1
            delay = backoff(slot.failures, base=_RETRY_BASE, cap=_RETRY_CAP)
            slot.start_at = time.monotonic() + delay
            if code == EXIT_CONFIG or (not was_ready and slot.failures >= _EARLY_DEATHS):
                self._code = code if code > 0 else 1
                hopeless = True
        return hopeless

    def _end(self) -> None:
        self._ending = True
        self._remove_ready_file()
        self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.process is not None:
                slot.process.send_signal(number)

    def _forget_pipe(self, slot: _Slot) -> None:
        if slot.ready_fd is not None:
            self._selector.unregister(slot.ready_fd)
            os.close(slot.ready_fd)
            slot.ready_fd = None

    def _write_ready_file(self) -> None:
        if self.ready_file is None:
            return
        lines = "".join(json.dumps(slot.ready) + "\n" for slot in self._slots)
        with tempfile.NamedTemporaryFile("w", dir=self.ready_file.parent, delete=False) as file:
            file.write(lines)
        # Whoever polls for the file never sees half of it.
        Path(file.name).replace(self.ready_file)

    def _remove_ready_file(self) -> None:
        if self.ready_file is not None:
            self.ready_file.unlink(missing_ok=True)


def available_cores() -> list[int]:
    """Answer the cores that this process may use, or none where that cannot be known."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _slots(roles: Sequence[Role]) -> list[_Slot]:
    cores = available_cores()
    return [
        _Slot(
            role.name,
            index,
            cores[index % len(cores)] if role.pinned and role.count > 1 and cores else None,
        )
        for role in roles
        for index in range(role.count)
    ]


def _note(_: int, __: FrameType | None) -> None:
    """Keep the signal from its default effect; the wake-up descriptor carries its number."""


def _drained(reader: socket.socket) -> bytes:
    received = b""
    while True:
        try:
            received += reader.recv(4096)
        except BlockingIOError:
            return received
