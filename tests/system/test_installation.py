"""The installation on one machine: the three real services as processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.installation import processes
from cli.installation.layout import SERVICES, Layout
from cli.installation.process_table import members

pytestmark = pytest.mark.timeout(240)

Stoa = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STOA_")}
    return kept | {"STOA_HOME": str(home), "STOA_CONTEXTS": str(home.parent / "contexts")} | more


def stoa_in(home: Path, **more: str) -> Stoa:
    """What runs the command for the installation in `home`."""

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            capture_output=True,
            check=False,
            env=environment(home, **more),
            text=True,
            timeout=200,
        )

    return call


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation that runs; whatever a test leaves of it is stopped."""
    found = tmp_path_factory.mktemp("installation") / "data"
    stoa = stoa_in(found)
    done = stoa("up", "-d", "--ports", "auto", "--timeout", "120")
    assert done.returncode == 0, done.stderr
    yield found
    stoa("down")
    for service in SERVICES:
        left = processes.find(Layout(found), service)
        assert left is None


@pytest.fixture
def stoa(home: Path) -> Stoa:
    return stoa_in(home)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A place for another installation, stopped after the test."""
    found = tmp_path / "data"
    yield found
    if found.exists():
        stoa_in(found)("down")


def running(home: Path) -> dict[str, processes.Running]:
    found = {service: processes.find(Layout(home), service) for service in SERVICES}
    return {service: one for service, one in found.items() if one is not None}


def test_status_shows_each_service_with_its_processes(stoa: Stoa) -> None:
    done = stoa("status")
    assert done.returncode == 0, done.stderr
    rows = {row["service"]: row for row in json.loads(done.stdout)}
    assert set(rows) == set(SERVICES)
    for row in rows.values():
        assert row["health"] == "SERVING"
        roles = [one["role"] for one in row["processes"]]
        assert roles[0] == "parent"
        assert "workers 0" in roles


def test_a_second_up_says_that_it_runs_and_starts_nothing(stoa: Stoa, home: Path) -> None:
    before = running(home)
    done = stoa("up", "-d")
    assert done.returncode == 0
    assert "runs already" in done.stderr
    assert running(home) == before


def test_the_owner_is_known_to_the_services(stoa: Stoa, home: Path) -> None:
    from stoa.authz.v1 import directory_service_pb2_grpc, subscription_pb2

    from cli.connection import Connection
    from cli.target import of_installation
    from cli.trace import CommandTrace

    connection = Connection(of_installation(home), CommandTrace({}))
    directory = connection.stub("authz", directory_service_pb2_grpc.DirectoryServiceStub)
    found = directory.ListSubscriptions(subscription_pb2.ListSubscriptionsRequest())
    connection.close()
    assert [one.name for one in found.subscriptions] == ["subscriptions/default"]


def test_config_prints_every_service_and_no_secret(stoa: Stoa, home: Path) -> None:
    done = stoa("config")
    assert done.returncode == 0, done.stderr
    assert f"sqlite:///{home}/catalog/catalog.db" in done.stdout
    for service in SERVICES:
        assert (home / "identity" / f"{service}.secret").read_text() not in done.stdout


def test_logs_lie_in_the_data_directory(home: Path) -> None:
    for service in SERVICES:
        assert Layout(home).log(service).exists()


def test_clients_can_be_made_to_use_tls(fresh: Path) -> None:
    stoa = stoa_in(fresh)
    done = stoa("up", "-d", "--ports", "auto", "--tls", "--timeout", "120")
    assert done.returncode == 0, done.stderr
    done = stoa("status")
    assert done.returncode == 0, done.stdout + done.stderr
    ca = Layout(fresh).read_client().ca_file
    refused = stoa_in(fresh, STOA_CA_FILE=str(Path(__file__).parent / "none.crt"))("status")
    assert ca
    assert refused.returncode == 2


def test_a_port_that_others_have_is_named(home: Path, fresh: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert stoa_in(fresh)("init", "--ports", "auto").returncode == 0
        done = stoa_in(fresh)("up", "-d", "--ports", f"authz={port}")
    assert done.returncode == 5
    assert f"127.0.0.1:{port} (authz)" in done.stderr
    assert running(fresh) == {}


def test_a_service_that_cannot_start_is_quoted_and_nothing_is_left(fresh: Path) -> None:
    done = stoa_in(fresh, STOA_AUTHZ_LOG_LEVEL="LOUD")("up", "-d", "--ports", "auto")
    assert done.returncode == 1
    assert "The authz service ended with exit code" in done.stderr
    assert "STOA_AUTHZ_LOG_LEVEL" in done.stderr
    assert running(fresh) == {}


def test_a_wrong_setting_is_told_by_config(fresh: Path) -> None:
    assert stoa_in(fresh)("init", "--ports", "auto").returncode == 0
    done = stoa_in(fresh, STOA_CATALOG_LOG_LEVEL="LOUD")("config", "--service", "catalog")
    assert done.returncode == 2
    assert "STOA_CATALOG_LOG_LEVEL" in done.stderr


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs that are started take Ctrl-C, which tests in the background are made to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def up_in_foreground(home: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up", "--ports", "auto", "--timeout", "120"],
        env=environment(home),
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_everything_and_the_data_starts_again(fresh: Path, interruptible: None) -> None:
    authorities = set()
    for _ in range(2):
        with up_in_foreground(fresh) as process:
            assert process.stderr is not None
            told = []
            for line in process.stderr:
                told.append(line)
                if "Ctrl-C" in line:
                    break
            assert len(running(fresh)) == len(SERVICES), "".join(told)
            parents = [one.pid for one in running(fresh).values()]
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            assert process.wait(60) == 0, rest
        order = [line.split()[1] for line in rest.splitlines() if line.startswith("stopping")]
        assert order == list(SERVICES)
        assert [members(pid) for pid in parents] == [[], [], []]
        authorities.add((fresh / "pki" / "ca.key").read_bytes())
    assert len(authorities) == 1


def test_a_killed_service_is_shown_and_started_again_by_up(fresh: Path) -> None:
    stoa = stoa_in(fresh)
    assert stoa("up", "-d", "--ports", "auto", "--timeout", "120").returncode == 0
    before = running(fresh)
    os.kill(before["catalog"].pid, signal.SIGKILL)
    while members(before["catalog"].pid):
        time.sleep(0.1)
    done = stoa("status")
    assert done.returncode == 6
    assert "Not serving: catalog" in done.stderr
    assert {row["service"]: row["health"] for row in json.loads(done.stdout)} == {
        "catalog": "STOPPED",
        "replication": "SERVING",
        "authz": "SERVING",
    }
    done = stoa("up", "-d", "--timeout", "120")
    assert done.returncode == 0, done.stderr
    after = running(fresh)
    assert after["authz"] == before["authz"]
    assert after["catalog"].pid != before["catalog"].pid
    assert stoa("status").returncode == 0
    assert stoa("down").returncode == 0
    assert running(fresh) == {}
    assert "Nothing runs" in stoa("down").stderr
