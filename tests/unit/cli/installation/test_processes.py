import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.installation.layout import Layout
from cli.installation.process_table import ended, members, start_mark
from cli.installation.processes import Running, exit_code, find, forget, stop, tail

# Starts a child of its own process group, as the services do, and tells when both run.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], process_group=0)
{handler}
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[tuple[Running, int]]:
    """A running parent and the pid of its child; `param` is what the parent does besides."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(handler=getattr(request, "param", ""))],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    running = Running("catalog", process.pid, start_mark(process.pid) or "", time.time(), 0)
    yield running, child
    process.stdout.close()
    for pid in (process.pid, child):
        if not ended(pid):
            os.kill(pid, 9)
    process.wait()


def record(layout: Layout, running: Running) -> None:
    layout.processes.mkdir(parents=True, exist_ok=True)
    fields = {name: getattr(running, name) for name in Running.__dataclass_fields__}
    (layout.processes / "catalog.json").write_text(json.dumps(fields))


def test_a_recorded_process_is_found_with_its_children(
    started: tuple[Running, int], layout: Layout
) -> None:
    running, child = started
    record(layout, running)
    assert find(layout, "catalog") == running
    assert [pid for pid, _ in running.processes()] == [running.pid, child]
    forget(layout, "catalog")
    assert find(layout, "catalog") is None


def test_another_process_with_the_same_pid_is_left_alone(
    started: tuple[Running, int], layout: Layout
) -> None:
    running, _ = started
    older = Running("catalog", running.pid, "another start", running.started, 0)
    record(layout, older)
    assert find(layout, "catalog") is None
    assert stop(older, timeout=1)
    assert running.alive()


def test_a_process_that_obeys_ends_by_itself(started: tuple[Running, int]) -> None:
    running, _ = started
    assert stop(running)
    assert not running.alive()


@pytest.mark.parametrize("started", [STUBBORN], indirect=True)
def test_one_that_does_not_is_killed_with_its_children(started: tuple[Running, int]) -> None:
    running, child = started
    assert not stop(running, timeout=0.5)
    assert not running.alive()
    assert members(running.pid) == []
    assert ended(child)


@pytest.mark.parametrize("content", ["", "{", "{}", '{"pid": 1}'])
def test_a_damaged_record_is_nobody(content: str, layout: Layout) -> None:
    layout.processes.mkdir()
    (layout.processes / "catalog.json").write_text(content)
    assert find(layout, "catalog") is None


def test_how_a_child_ended_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(78)"])
    running = Running("catalog", process.pid, start_mark(process.pid) or "", 0.0, 0)
    while not ended(process.pid):
        time.sleep(0.01)
    assert not running.alive()
    assert exit_code(running) == 78
    assert exit_code(running) is None
    process.returncode = 78  # It was reaped; nobody need wait for it again.


def test_the_tail_of_a_log_begins_behind_what_was_there_before(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    offset = log.stat().st_size
    with log.open("a") as stream:
        stream.writelines(f"line {i}\n" for i in range(100))
    assert tail(log, offset)[0] == "line 75"
    assert tail(log, offset)[-1] == "line 99"
    assert tail(tmp_path / "none.log") == []
