"""How far something is that moves bytes: bars on a terminal, lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from cli.invocation import current
from cli.output import human_bytes, note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Without a terminal a line is written at most so often, in seconds, for each label.
_INTERVAL: Final = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """How far one part is: a region, or a file.

    `done` and `total` are bytes, `rate` bytes a second, `remaining` seconds; None is not known.
    """

    label: str
    state: str
    done: int
    total: int
    rate: float | None = None
    remaining: float | None = None
    note: str = ""
    finished: bool = False

    @property
    def percent(self) -> int:
        """0 to 100; 100 only when all is done."""
        return min(self.done * 100 // self.total, 100) if self.total else 100 * self.finished

    def size(self) -> str:
        """The bytes for people."""
        return f"{human_bytes(self.done)} of {human_bytes(self.total)}" if self.total else ""

    def pace(self) -> str:
        """The rate and the time left for people."""
        parts = []
        if self.rate is not None:
            parts.append(f"{human_bytes(int(self.rate))}/s")
        if self.remaining is not None and not self.finished:
            parts.append(f"{duration(self.remaining)} left")
        return ", ".join(parts)

    def text(self) -> str:
        """All of it in a line."""
        parts = (f"{self.percent:3d}%", self.size(), self.pace(), self.note)
        told = "  ".join(part for part in parts if part)
        return f"{self.label:<14} {self.state:<12} {told}".rstrip()


class View(Protocol):
    """Where lines are shown."""

    def show(self, line: Line) -> None:
        """Show a line in place of the former one of the same label; from any thread."""
        ...


@contextmanager
def view() -> Iterator[View]:
    """What shows progress as this run of the command wants it."""
    if current().options.quiet:
        yield _Nowhere()
    elif current().interactive:
        with _bars() as progress:
            yield _Bars(progress)
    else:
        yield Lines()


class _Nowhere:
    def show(self, line: Line) -> None:
        pass


class Lines:
    """Writes a line where a state changes, and now and then while it lasts."""

    def __init__(
        self, tell: Callable[[str], None] = note, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell: Final = tell
        self._clock: Final = clock
        self._lock: Final = threading.Lock()
        self._told: dict[str, tuple[float, Line]] = {}

    def show(self, line: Line) -> None:
        """Write the line unless it says too little that is new."""
        with self._lock:
            now = self._clock()
            before = self._told.get(line.label)
            if before is not None and line.state == before[1].state:
                same = (line.done, line.note) == (before[1].done, before[1].note)
                if same or (now - before[0] < _INTERVAL and not line.finished):
                    return
            self._told[line.label] = (now, line)
            self._tell(line.text())


class _Bars:
    """A bar for each label, drawn by rich on standard error."""

    def __init__(self, progress: "Progress") -> None:
        self._progress: Final = progress
        self._lock: Final = threading.Lock()
        self._tasks: dict[str, TaskID] = {}

    def show(self, line: Line) -> None:
        fields: dict[str, Any] = {
            "state": line.state,
            "size": line.size(),
            "pace": line.pace(),
            "note": line.note,
            "percent": f"{line.percent:3d}%",
        }
        # A bar without a total runs to and fro.
        total = line.total or (1 if line.finished else None)
        done = line.done if line.total else int(line.finished)
        with self._lock:
            task = self._tasks.get(line.label)
            if task is None:
                task = self._progress.add_task(line.label, total=total, **fields)
                self._tasks[line.label] = task
            self._progress.update(task, completed=done, total=total, **fields)


def _bars() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[state]}", markup=False),
        BarColumn(bar_width=24),
        *(
            TextColumn(f"{{task.fields[{field}]}}", markup=False)
            for field in ("percent", "size", "pace", "note")
        ),
        console=Console(file=sys.stderr),
    )


class Meter:
    """Counts bytes of one transfer and shows them; may be used from many threads."""

    def __init__(
        self, shown: View, label: str, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._view: Final = shown
        self._label: Final = label
        self._total: Final = total
        self._clock: Final = clock
        self._lock: Final = threading.Lock()
        self._began: Final = clock()
        self._moved = 0
        self._done = 0
        self._seeded = 0

    def skip(self, count: int) -> None:
        """Count bytes that need not be moved: holes, or what was there before."""
        self._add(0, count)

    def move(self, count: int) -> None:
        """Count bytes that were moved."""
        self._add(count, count)

    def seed(self, count: int) -> None:
        """Count bytes that an older file had."""
        with self._lock:
            self._seeded += count
        self._add(0, count, "Seeding")

    @property
    def seeded(self) -> int:
        """The bytes that older files had."""
        return self._seeded

    def back(self, done: int) -> None:
        """Begin again at `done`."""
        with self._lock:
            self._done = done

    def state(self, state: str, *, finished: bool = False) -> None:
        """Show what is being done."""
        self._show(state, finished=finished)

    def _add(self, moved: int, done: int, state: str = "Copying") -> None:
        with self._lock:
            self._moved += moved
            self._done += done
        self._show(state, finished=False)

    def _show(self, state: str, *, finished: bool) -> None:
        elapsed = self._clock() - self._began
        rate = self._moved / elapsed if elapsed > 0 and self._moved else None
        # Of what follows on the copying nobody knows how long it takes.
        left = (self._total - self._done) / rate if rate and self._done < self._total else None
        told = []
        if finished:
            told.append(f"{human_bytes(self._moved)} moved")
        if self._seeded:
            told.append(f"{human_bytes(self._seeded)} from seeds")
        self._view.show(
            Line(
                self._label,
                state,
                self._done,
                self._total,
                rate=rate,
                remaining=left,
                note=", ".join(told),
                finished=finished,
            )
        )


def duration(seconds: float) -> str:
    """A time for people: `4 s`, `2 min 5 s`, `1 h 2 min`."""
    whole = round(seconds)
    if whole < 1:
        return "<1 s"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
