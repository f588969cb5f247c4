"""One disk of a replica that is being copied: how its copy is steered, and what is told of it."""

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from services.replication.content.errors import FenceLost
from services.replication.content.journal import forget_task
from services.replication.content.progress import Checkpoint, Control, Phase
from services.replication.content.store import Store
from services.replication.domain.desired import DesiredDisk
from services.replication.domain.records import ReplicaDisk
from services.replication.domain.states import CopyState
from services.replication.usecases.claims import Task
from services.replication.usecases.metering import Carried, Meter
from services.replication.usecases.tasks import Tasks

_STATES: Final = {
    Phase.PLANNING: CopyState.PLANNING,
    Phase.COPYING: CopyState.COPYING,
    Phase.VERIFYING: CopyState.VERIFYING,
    Phase.COMMITTING: CopyState.COMMITTING,
}


@dataclass(slots=True)
class Lease:
    """What a worker knows of its claim: whether it is held, and until when it may believe so."""

    held_until: float
    lost: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        """Stop the worker at its next step, wherever it is."""
        self.lost.set()
        self.cancelled.set()

    def check(self) -> None:
        """Stop a worker that may have been replaced; FenceLost."""
        if self.lost.is_set() or time.monotonic() >= self.held_until:
            raise FenceLost


@dataclass(slots=True)
class DiskCopy:
    """One disk of a running task."""

    tasks: Tasks
    task: Task
    disk: DesiredDisk
    state: ReplicaDisk
    store: Store
    lease: Lease
    meter: Meter
    _carried: Carried = field(init=False)
    _control: Control = field(init=False)

    def control(self) -> Control:
        """Answer what steers the copy of this disk."""
        self._carried = Carried(self.state.progress.counters)
        self._control = Control(
            cancelled=self.lease.cancelled,
            fence=self.lease.check,
            checkpoint=self._checkpoint,
            phase=self.enter,
        )
        self.meter.begin(self.disk.disk, self._carried, self._control.progress)
        return self._control

    def enter(self, phase: Phase) -> None:
        """Record a phase of the copy."""
        if phase is Phase.COPYING:
            # The journals are read: what the attempt goes on with is known.
            self._carried.resumed(self._control.progress.sample())
        self.tasks.enter(self.task, self.disk.disk, _STATES[phase])

    def _checkpoint(self, checkpoint: Checkpoint) -> None:
        counters = self._carried.shown(checkpoint.counters)
        self.tasks.checkpoint(self.task, self.disk.disk, checkpoint.end_segment, counters)


def copy_task(task: Task, disk: str) -> str:
    """Answer the name under which the copy of a disk is journalled in its slot."""
    return f"{task.replica.version}.{disk}"


def ingest_task(task: Task, disk: str) -> str:
    """Answer the name under which the first reading of a disk is journalled.

    Another one than that of copies: a slot that began with the source may go on with a replica.
    """
    return f"{task.replica.version}.{disk}.source"


def forget_disk(store: Store, task: Task, disk: str) -> None:
    """Remove the journals of a disk, of its first reading and of its copy."""
    forget_task(store, copy_task(task, disk))
    forget_task(store, ingest_task(task, disk))
