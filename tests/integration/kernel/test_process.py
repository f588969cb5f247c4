"""The parent and its children, as real processes that are really killed."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import gc, os, sys, time
from dataclasses import dataclass
from pathlib import Path
from services.kernel.child import CannotServe, Child
from services.kernel.config import ConfigError, setting
from services.kernel.program import Program, main

directory = Path(os.environ["TEST_DIRECTORY"])
behaviour = os.environ["TEST_BEHAVIOUR"]
grace = float(os.environ["TEST_GRACE"])

@dataclass(frozen=True)
class Config:
    port: int = setting(7000, doc="A port.")
    page_secret: str = setting("hidden", doc="Signs.", secret=True)

def note(text):
    with (directory / "log").open("a") as file:
        file.write(text + "\\n")

def child_of(role):
    def run(child):
        if behaviour == "broken":
            note("began")
            sys.exit(3)
        if behaviour == "taken":
            raise CannotServe("the port is taken")
        note(f"began {role}")
        child.ready(
            place=child.place,
            port=7000,
            cores=len(os.sched_getaffinity(0)),
            collects_after=gc.get_threshold()[0],
        )
        if behaviour == "stubborn":
            time.sleep(600)
        child.stop.wait()
        note(f"drained {role}")
    return run

def load(file):
    if behaviour == "config" or (behaviour == "late" and "--role" in sys.argv):
        raise ConfigError(["PORT: must be a number"])
    note(f"loaded {file}")
    return Program(
        migrate=lambda: note("migrated"),
        serve=child_of("server"),
        work=child_of("workers"),
        servers=int(os.environ["TEST_SERVERS"]),
        grace=grace,
        config=Config(),
    )

sys.exit(main("program", load))
"""


class Installation:
    """A running parent."""

    def __init__(self, directory: Path, behaviour="good", servers=1, grace=20.0, more=()):
        self.directory = directory
        (directory / "program.py").write_text(PROGRAM)
        environ = os.environ | {
            "PYTHONPATH": f"{ROOT}:{directory}",
            "TEST_DIRECTORY": str(directory),
            "TEST_BEHAVIOUR": behaviour,
            "TEST_SERVERS": str(servers),
            "TEST_GRACE": str(grace),
        }
        command = [sys.executable, "-m", "program", "--config", "stoa.toml"]
        command += ["--ready-file", str(directory / "ready"), *more]
        self.process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def children(self):
        ready = self.directory / "ready"
        wait_until(ready.exists)
        return [json.loads(line) for line in ready.read_text().splitlines()]

    def log(self) -> list[str]:
        log = self.directory / "log"
        return log.read_text().splitlines() if log.exists() else []

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait without a limit of its own: the limit of the test is the only clock here."""
    while not condition():
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    started: list[Installation] = []

    def run(**options: Any) -> Installation:
        started.append(Installation(tmp_path, **options))
        return started[-1]

    yield run
    for installation in started:
        if installation.process.poll() is None:
            installation.process.kill()
            installation.process.wait()
        for stream in (installation.process.stdout, installation.process.stderr):
            assert stream is not None
            stream.close()


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks at processes through /proc"
)


def test_children_look_for_garbage_less_often_than_others(start):
    found = [child["collects_after"] for child in start().children()]
    assert found == [10_000] * 2
    assert gc.get_threshold()[0] < 10_000


def test_the_ready_file_names_every_child_once_all_serve(start):
    installation = start(servers=2)
    found = [(child["role"], child["index"], child["port"]) for child in installation.children()]
    assert found == [("server", 0, 7000), ("server", 1, 7000), ("workers", 0, 7000)]
    assert installation.log()[:2] == ["loaded stoa.toml", "migrated"]
    assert set(installation.log()[2:]) == {"loaded stoa.toml", "began server", "began workers"}


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores",
)
def test_several_servers_are_pinned_and_others_are_not(start):
    everything = len(os.sched_getaffinity(0))
    cores = [child["cores"] for child in start(servers=2).children()]
    assert cores == [1, 1, everything]


def test_a_single_server_is_not_pinned(start):
    (server, _) = start().children()
    assert server["cores"] == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_told_parent_drains_its_children_and_succeeds(start, number):
    installation = start()
    children = installation.children()
    assert installation.end(number) == 0
    assert sorted(installation.log()[-2:]) == ["drained server", "drained workers"]
    assert not any(alive(child["pid"]) for child in children)
    assert not (installation.directory / "ready").exists()


def test_a_killed_child_is_started_again(start):
    installation = start()
    before = installation.children()
    os.kill(before[0]["pid"], signal.SIGKILL)
    wait_until(lambda: installation.log().count("began server") == 2)
    wait_until(lambda: installation.children()[0]["pid"] != before[0]["pid"])
    after = installation.children()
    assert after[1]["pid"] == before[1]["pid"]
    assert alive(after[0]["pid"])
    assert [child["place"] for child in after] == [child["place"] for child in before]
    assert installation.end() == 0


def test_every_child_of_every_parent_has_a_place_of_its_own(start):
    first = start(servers=2)
    places = [child["place"] for child in first.children()]
    first.end()
    second = start(servers=2)
    places += [child["place"] for child in second.children()]
    assert len(set(places)) == 6
    assert second.end() == 0


def test_a_parent_of_workers_alone_leaves_the_database_alone(start):
    installation = start(servers=2, more=["--only", "workers"])
    assert [child["role"] for child in installation.children()] == ["workers"]
    assert "migrated" not in installation.log()
    assert installation.end() == 0


def test_children_end_when_their_parent_is_killed(start):
    installation = start(servers=2)
    children = installation.children()
    installation.process.kill()
    wait_until(lambda: not any(alive(child["pid"]) for child in children))
    drained = [line for line in installation.log() if line.startswith("drained")]
    assert len(drained) == 3


def test_an_orphan_that_does_not_stop_is_ended(start):
    installation = start(behaviour="stubborn", grace=0.5)
    children = installation.children()
    installation.process.kill()
    wait_until(lambda: not any(alive(child["pid"]) for child in children))


def test_a_child_that_does_not_stop_is_killed_after_the_grace(start):
    installation = start(behaviour="stubborn", grace=0.3)
    children = installation.children()
    assert installation.end() == 1
    assert not any(alive(child["pid"]) for child in children)


def test_a_second_signal_does_not_wait_for_the_grace(start):
    installation = start(behaviour="stubborn", grace=600)
    installation.children()
    installation.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not (installation.directory / "ready").exists())
    assert installation.end() == 1


def test_settings_are_printed_without_secrets_and_nothing_is_started(start):
    installation = start(more=["--print-config"])
    printed = installation.process.stdout.read()
    assert installation.process.wait() == 0
    assert printed == "[program]\nport = 7000\npage_secret = ***\n"
    assert installation.log() == ["loaded stoa.toml"]


def test_a_wrong_configuration_is_printed_before_anything_is_started(start):
    installation = start(behaviour="config")
    assert installation.process.wait(30) == 78
    assert installation.process.stderr.read() == "wrong settings:\n  PORT: must be a number\n"
    assert installation.log() == []


def test_a_configuration_that_goes_wrong_later_is_not_tried_again(start):
    installation = start(behaviour="late")
    assert installation.process.wait(30) == 78
    assert installation.log() == ["loaded stoa.toml", "migrated"]


def test_a_child_that_never_serves_ends_the_parent(start):
    installation = start(behaviour="broken")
    assert installation.process.wait(50) == 3
    assert installation.log().count("began") >= 5


def test_a_child_that_cannot_serve_says_why_in_a_line(start):
    installation = start(behaviour="taken")
    assert installation.process.wait(50) == 1
    told = installation.process.stderr.read()
    assert told.count("program: the port is taken\n") >= 5
    assert "Traceback" not in told
