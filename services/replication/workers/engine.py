"""Runs the tasks of one workers process: threads that copy, and those that look after them."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.kernel.errors import Unavailable
from services.kernel.telemetry.tracer import Tracer
from services.replication.content.errors import Cancelled, FenceLost
from services.replication.domain.states import Intent
from services.replication.usecases.claims import Claims, Task
from services.replication.usecases.copying import CopyReplica
from services.replication.usecases.disk_copy import Lease
from services.replication.usecases.metering import Meter
from services.replication.usecases.tasks import Tasks

_LOG = logging.getLogger(__name__)

# How often, in seconds, due tasks are looked for and running ones are compared with what is
# wanted of them: a cancellation is to be noticed within 250 ms (replication.md 2.8).
LOOK_EVERY: Final = 0.1


class Running:
    """One task that a thread works on."""

    __slots__ = ("lease", "meter", "task")

    def __init__(self, task: Task, held_until: float) -> None:
        self.task: Final = task
        self.lease: Final = Lease(held_until)
        self.meter: Final = Meter()


class Engine:
    """Claims tasks as long as threads are free, and keeps the leases of those that run.

    Leases are renewed, and cancellations looked for, by threads of their own, which a copy cannot
    hold up.
    """

    def __init__(
        self,
        claims: Claims,
        tasks: Tasks,
        copier: CopyReplica,
        *,
        owner: str,
        threads: int,
        tracer: Tracer | None = None,
    ) -> None:
        """`owner` names this process and no other, in this life or a former one."""
        self._claims: Final = claims
        self._tasks: Final = tasks
        self._tracer: Final = tracer or Tracer()
        self._copier: Final = copier
        self._owner: Final = owner
        self._threads: Final = threads
        self._lock: Final = threading.Lock()
        self._running: Final[dict[tuple[str, str, str], Running]] = {}
        self._woken: Final = threading.Event()
        self._lease_seconds: Final = claims.settings.lease.total_seconds()

    def wake(self) -> None:
        """Look for tasks at once."""
        self._woken.set()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then give back what runs: another process goes on with it."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="copy")
        helpers = [
            threading.Thread(target=target, args=(stop,), name=name, daemon=True)
            for name, target in (
                ("leases", self._renew),
                ("intents", self._watch_intents),
                ("progress", self._report),
            )
        ]
        for helper in helpers:
            helper.start()
        try:
            while not stop.is_set():
                self._look(pool)
                self._woken.wait(LOOK_EVERY)
                self._woken.clear()
        finally:
            for running in self._all():
                running.lease.end()
            pool.shutdown(wait=True)
            for helper in helpers:
                helper.join()

    @property
    def busy(self) -> int:
        """How many tasks run."""
        return len(self._running)

    def _look(self, pool: ThreadPoolExecutor) -> None:
        free = self._threads - len(self._running)
        if free <= 0:
            return
        try:
            began = time.monotonic()
            for task in self._claims.claim(self._owner, free):
                running = Running(task, began + self._lease_seconds)
                with self._lock:
                    self._running[task.key] = running
                pool.submit(self._work, running)
        except Unavailable as error:
            _LOG.warning("no tasks can be claimed now: %s", error)
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            _LOG.exception("tasks could not be claimed")

    def _work(self, running: Running) -> None:
        task = running.task
        attributes = {
            "stoa.replication": task.replica.replication,
            "stoa.location": task.replica.location,
            "stoa.slot": task.replica.slot,
            "stoa.attempt": task.replica.attempt,
        }
        name = f"replica {task.replica.intent.value.lower()}"
        try:
            with self._tracer.span(name, attributes, traceparent=task.trace_context):
                self._attempt(running)
        except FenceLost:
            _LOG.info("the task %s passed to another worker", running.task.key)
        except Exception:  # noqa: BLE001 - the lease runs out, and the task is claimed again
            _LOG.exception("the end of the task %s was not recorded", running.task.key)
        finally:
            with self._lock:
                # This process may have claimed it again, when the lease had run out.
                if self._running.get(running.task.key) is running:
                    del self._running[running.task.key]
            self._release(running.task)
            self._woken.set()

    def _attempt(self, running: Running) -> None:
        task = running.task
        match task.replica.intent:
            case Intent.REMOVE:
                self._clear(task, removing=True)
                return
            case Intent.CANCEL:
                self._clear(task, removing=False)
                return
            case Intent.COPY:
                pass
        try:
            self._copier.copy(task, running.lease, running.meter)
        except FenceLost:
            raise
        except Cancelled:
            running.lease.check()
            # Told to stop: to cancel, or because the slot is no longer wanted, which is claimed
            # as a task of its own.
            self._stopped(task)
        except Exception as error:  # noqa: BLE001 - the meaning of each is in domain.failures
            _LOG.warning("attempt %d of %s: %s", task.replica.attempt, task.key, error)
            try:
                self._tasks.failed(task, error)
            except Cancelled:
                self._stopped(task)

    def _stopped(self, task: Task) -> None:
        try:
            self._copier.cancel(task)
        except Cancelled:
            _LOG.info("the task %s is wanted again, or removed", task.key)

    def _clear(self, task: Task, *, removing: bool) -> None:
        try:
            if removing:
                self._copier.remove(task)
            else:
                self._copier.cancel(task)
        except Cancelled:
            _LOG.info("the task %s is wanted again", task.key)
        except FenceLost:
            raise
        except Exception as error:  # noqa: BLE001 - tried again for as long as it takes
            _LOG.warning("%s cannot be cleared: %s", task.key, error)
            self._tasks.postponed(task, error)

    def _release(self, task: Task) -> None:
        try:
            self._claims.release(task)
        except Unavailable as error:
            _LOG.warning("the task %s is released when its lease runs out: %s", task.key, error)

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(self._lease_seconds / 3):
            running = self._all()
            if not running:
                continue
            try:
                # Counted from before the renewal, so that it is never believed for too long.
                asked = time.monotonic()
                self._claims.renew(self._owner)
            except Exception:  # noqa: BLE001 - tried again until the leases have run out
                _LOG.exception("the leases could not be renewed")
                continue
            for one in running:
                one.lease.held_until = asked + self._lease_seconds

    def _watch_intents(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_EVERY):
            running = self._all()
            if not running:
                continue
            try:
                rows = {
                    (one.version, one.location, one.slot): one
                    for one in self._claims.owned(self._owner)
                }
            except Exception:  # noqa: BLE001 - tried again
                _LOG.exception("running tasks could not be compared with what is wanted")
                continue
            for one in running:
                row = rows.get(one.task.key)
                if row is None or row.fence != one.task.fence:
                    one.lease.lost.set()
                elif row.intent is not one.task.replica.intent:
                    one.lease.cancelled.set()

    def _report(self, stop: threading.Event) -> None:
        reported: dict[tuple[str, str, str], object] = {}
        while not stop.wait(self._tasks.settings.progress_every):
            running = self._all()
            for one in running:
                counters, rate = one.meter.sample()
                if counters and reported.get(one.task.key) != counters:
                    reported[one.task.key] = counters
                    try:
                        self._tasks.progress(one.task, counters, rate)
                    except Exception:  # noqa: BLE001 - the next figures come soon
                        _LOG.exception("progress of %s was not recorded", one.task.key)
            keys = {one.task.key for one in running}
            reported = {key: value for key, value in reported.items() if key in keys}

    def _all(self) -> list[Running]:
        with self._lock:
            return list(self._running.values())
