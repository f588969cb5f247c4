"""The processes of an installation: each service is a session, found again by pid and start."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cli.installation.files import private_folder, write_public
from cli.installation.layout import Layout
from cli.installation.process_table import ended, members, start_mark

# A service drains its calls before it ends; after this many seconds it is killed.
STOP_TIMEOUT: Final = 30.0
_KEPT_LOG: Final = 16 * 1024 * 1024
_TAIL: Final = 25


@dataclass(frozen=True, slots=True)
class Running:
    """A parent process of a service.

    `mark` says when it started: another process that got its pid later has another one.
    `log_offset` is where its output begins in the log.
    """

    service: str
    pid: int
    mark: str
    started: float
    log_offset: int

    def alive(self) -> bool:
        """Whether it still is the process that was started."""
        return start_mark(self.pid) == self.mark and not ended(self.pid)

    def processes(self) -> list[tuple[int, str]]:
        """Pid and command line of the parent and its children."""
        return members(self.pid)


def spawn(layout: Layout, service: str) -> Running:
    """Start a service's parent as the leader of a session and record it.

    A session of its own: a Ctrl-C on the terminal reaches the command alone, which then ends
    the services in their order.
    """
    log = layout.log(service)
    private_folder(log.parent)
    private_folder(layout.processes)
    if log.exists() and log.stat().st_size > _KEPT_LOG:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        offset = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}", "--config", str(layout.config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=layout.data,
            # The data directory is no place to import from.
            env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    running = Running(service, process.pid, start_mark(process.pid) or "", time.time(), offset)
    write_public(_record(layout, service), json.dumps(asdict(running)) + "\n")
    return running


def find(layout: Layout, service: str) -> Running | None:
    """The recorded process of a service, if it runs."""
    try:
        running = Running(**json.loads(_record(layout, service).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if running.alive() else None


def forget(layout: Layout, service: str) -> None:
    """Remove the record of a process that ended."""
    _record(layout, service).unlink(missing_ok=True)


def stop(running: Running, *, timeout: float = STOP_TIMEOUT) -> bool:
    """End a service: ask its parent, and kill them all if that takes too long.

    Answers whether it ended by itself. A process that is not the recorded one is left alone.
    """
    if not running.alive():
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    if _wait_for_end(running, timeout):
        return True
    for pid, _ in running.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + timeout
    while running.processes() and time.monotonic() < deadline:
        time.sleep(0.01)  # Nothing survives this signal, but a disk may hold a process up.
    exit_code(running)
    return False


def exit_code(running: Running) -> int | None:
    """How a child of this process ended; None while it runs, or where it is no child of ours."""
    try:
        pid, status = os.waitpid(running.pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if pid else None


def output_since_start(layout: Layout, running: Running) -> list[str]:
    """The last lines that a service wrote since it was started."""
    return tail(layout.log(running.service), running.log_offset)


def tail(log: Path, offset: int = 0) -> list[str]:
    """The last lines of a log behind an offset."""
    try:
        with log.open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(offset, end - 64 * 1024))
            return stream.read().decode(errors="replace").splitlines()[-_TAIL:]
    except OSError:
        return []


def _wait_for_end(running: Running, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while running.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    exit_code(running)  # Reaps it where it is our child.
    return True


def _record(layout: Layout, service: str) -> Path:
    return layout.processes / f"{service}.json"
