"""Copies that stop where a test wants them: in this process, or in one that can be killed there."""

import enum
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from services.kernel.db.engine import Database
from services.replication.content.keys import VERSION_REFS
from services.replication.content.store import Store
from services.replication.domain.progress import Counters
from services.replication.domain.records import Replica
from services.replication.domain.states import UNFINISHED, CopyState
from services.replication.usecases.claims import Task
from services.replication.usecases.copying import CopyReplica
from services.replication.usecases.tasks import Tasks
from tests.faults.invariants import memory_of
from tests.integration.replication.world import World

# Forks of a process that has read this module and started no thread: they are there at once.
_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])
PATIENCE: Final = 60.0
# Where rows decide nothing that the other database could decide otherwise.
on_sqlite: Final = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FIRST_DISK: Final = "os"


class Point(enum.Enum):
    """Where a copy stops."""

    PLANNING = enum.auto()
    """It is claimed, and nothing is copied."""
    DURABLE = enum.auto()
    """A window is durable and journalled in the slot, and not recorded in the database."""
    COPYING = enum.auto()
    """A window is recorded, and others are missing."""
    VERIFYING = enum.auto()
    """Every byte of the first disk is there, and its manifest is not."""
    BETWEEN_DISKS = enum.auto()
    """The first disk is whole, and nothing is copied of the second."""
    UNDECIDED = enum.auto()
    """All disks are whole, and a cancellation would still win."""
    COMMITTING = enum.auto()
    """The commit has won over cancellations, and there is no ref."""
    REF_WRITTEN = enum.auto()
    """The ref is there, and the database does not know."""
    RECORDED = enum.auto()
    """The database knows, and the journals are not forgotten."""
    CANCELLING = enum.auto()
    """What was journalled is forgotten, and the end of the cancellation is not recorded."""
    REF_REMOVED = enum.auto()
    """The ref is gone, and the database does not know."""


class Halt:
    """Stops the first copy into a region that comes to a point, until it is let go."""

    def __init__(self, point: Point, location: str) -> None:
        self._point: Final = point
        self._location: Final = location
        self._first: Final = threading.Semaphore(1)
        self.held: Final = threading.Event()
        self.go: Final = threading.Event()

    def at(self, point: Point, location: str, version: str) -> None:
        """Stop here, if this is the place and nobody has stopped before."""
        here = (point, location) == (self._point, self._location)
        if here and self._first.acquire(blocking=False):
            self.held.set()
            assert self.go.wait(PATIENCE), f"nobody lets go what stopped at {point}"

    def wait_held(self) -> None:
        """Wait until a copy has come there."""
        assert self.held.wait(PATIENCE), f"nothing has come to {self._point}"


H = TypeVar("H", bound=Halt)


class HaltingTasks(Tasks):
    """Records what becomes of replicas, and stops before or after it."""

    halt: Halt

    def _at(self, point: Point, task: Task) -> None:
        self.halt.at(point, task.replica.location, task.replica.version)

    def enter(self, task: Task, disk: str, state: CopyState) -> None:
        super().enter(task, disk, state)
        point = _ENTERED.get(state)
        if point is not None and disk == FIRST_DISK:
            self._at(point, task)

    def checkpoint(self, task: Task, disk: str, segment: int, counters: Counters) -> None:
        self._at(Point.DURABLE, task)
        super().checkpoint(task, disk, segment, counters)
        self._at(Point.COPYING, task)

    def commit(self, task: Task) -> Replica:
        self._at(Point.UNDECIDED, task)
        return super().commit(task)

    def complete(
        self, task: Task, stored: dict[str, int], *, verified: bool, replica_id: str = ""
    ) -> None:
        self._at(Point.REF_WRITTEN, task)
        super().complete(task, stored, verified=verified, replica_id=replica_id)
        self._at(Point.RECORDED, task)

    def cancelled(self, task: Task) -> None:
        self._at(Point.CANCELLING, task)
        super().cancelled(task)

    def removed(self, task: Task) -> None:
        self._at(Point.REF_REMOVED, task)
        super().removed(task)


_ENTERED: Final[Mapping[CopyState, Point]] = {
    CopyState.PLANNING: Point.PLANNING,
    CopyState.VERIFYING: Point.VERIFYING,
    CopyState.COMMITTING: Point.BETWEEN_DISKS,
}


class _Stores:
    """The stores of a world; those that are written into stop before a ref."""

    def __init__(self, world: World, halt: Halt) -> None:
        self._stores: Final = world.stores
        self._halt: Final = halt

    def limited(self, store: Store, location: str, bytes_per_second: int | None) -> Any:
        return _Store(self._stores.limited(store, location, bytes_per_second), location, self._halt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stores, name)


class _Store:
    def __init__(self, store: Store, location: str, halt: Halt) -> None:
        self._store: Final = store
        self._location: Final = location
        self._halt: Final = halt

    def put_ref(self, key: str, data: bytes, *, expected: Any) -> Any:
        if key.startswith(VERSION_REFS):
            version = key.rpartition("/")[2]
            self._halt.at(Point.COMMITTING, self._location, version)
        return self._store.put_ref(key, data, expected=expected)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def wait_until(condition: Callable[[], bool], what: str = "it") -> None:
    """Wait until something is so."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(f"{what} has not come")


def wait_rest(world: World, uid: str) -> None:
    """Wait until nothing is left to be done for any replica of a version."""

    def is_done() -> bool:
        replicas = world.rows.read(lambda tx: tx.replicas.of_version(uid))
        return not any(one.state in UNFINISHED for one in replicas)

    wait_until(is_done, f"the rest of {uid}")


def halting(world: World, point: Point, location: str = "east") -> Halt:
    """Let the first copy of this process stop at a point."""
    return halted_by(world, Halt(point, location))


def halted_by(world: World, halt: H) -> H:
    """Let what this process copies ask at each point whether to stop."""
    tasks = HaltingTasks(world.rows, world.results, world.settings)
    tasks.halt = halt
    stores: Any = _Stores(world, halt)
    world.tasks = tasks
    world.copier = CopyReplica(tasks, world.origins, stores, world.rights, files=world.files)
    return halt


@dataclass
class Worker:
    """A process that copies, and stops at a point."""

    place: str
    process: BaseProcess
    pipe: Connection
    memory_before: int

    def memory(self) -> int:
        """The bytes of memory that it has had at most, beyond those that it began with."""
        return memory_of(self.process.pid or 0) - self.memory_before

    def wait_held(self) -> None:
        """Wait until a copy of it has come to the point."""
        assert self.pipe.poll(PATIENCE), "nothing has come to the point"
        assert self.pipe.recv() == "held"

    def kill(self) -> None:
        """End it with -9, whatever it is doing."""
        self.process.kill()
        self.process.join(PATIENCE)
        assert self.process.exitcode == -9

    def let_go(self) -> None:
        """Let the copy go on, and the process end once it has done so."""
        self.pipe.send("go")
        self.process.join(PATIENCE)
        assert self.process.exitcode == 0


@contextmanager
def worker(
    world: World, url: str, point: Point, location: str = "east", place: str = "first"
) -> Iterator[Worker]:
    """Run a process that copies what is wanted in a world, until it comes to a point."""
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(
        target=_work, args=(url, world.root, point, location, place, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        assert ours.poll(PATIENCE)
        yield Worker(place, process, ours, ours.recv())
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(url: str, root: Path, point: Point, location: str, place: str, pipe: Connection) -> None:
    pipe.send(memory_of(os.getpid()))
    database = Database.open(url)
    world = World(database, root)
    halt = halting(world, point, location)
    stop = threading.Event()
    engine = world.engine(owner=f"{place}/only")
    running = threading.Thread(target=engine.run, args=(stop,))
    running.start()
    halt.wait_held()
    pipe.send("held")
    try:
        pipe.recv()
    except EOFError:
        # Whoever asked for this is gone.
        os._exit(1)
    halt.go.set()
    while engine.busy:
        stop.wait(0.01)
    stop.set()
    running.join()
    world.close()
    database.close()
