"""Threat T31: a service that other machines could reach without TLS does not start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.installation.layout import Layout
from cli.installation.writing import write
from services.kernel.addresses import is_loopback
from services.kernel.process import EXIT_CONFIG

SERVICES = ("catalog", "replication", "authz")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    found = Layout(tmp_path_factory.mktemp("installation"))
    write(found, {})
    return found


def started(layout: Layout, service: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STOA_")}
    named = {f"STOA_{service}_{name}".upper(): value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", f"services.{service}", "--config", str(layout.config)],
        cwd=Path(__file__).parents[3],
        env=environ | named,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_t31_a_service_in_plaintext_beyond_loopback_ends_at_once_and_says_why(
    layout: Layout, service: str
) -> None:
    ended = started(layout, service, client_listen="0.0.0.0:0")
    assert ended.returncode == EXIT_CONFIG
    assert "client_listen: 0.0.0.0:0 is reached from other machines" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not layout.state(service).exists() or not list(layout.state(service).iterdir())


@pytest.mark.parametrize("service", SERVICES)
def test_t31_nothing_that_init_writes_listens_in_plaintext_to_others(
    tmp_path: Path, service: str
) -> None:
    layout = Layout(tmp_path)
    write(layout, {"listen": "0.0.0.0"})
    section = layout.read_config()[service]
    assert section["client_tls"] is True
    assert not is_loopback(section["client_listen"])
    write(Layout(tmp_path / "here"), {})
    here = Layout(tmp_path / "here").read_config()[service]
    listeners = [value for name, value in here.items() if name.endswith("_listen")]
    assert len(listeners) == (3 if service == "authz" else 2)
    assert all(map(is_loopback, listeners))


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/stoa", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("127.0.0.1.example.org:1", False),
        ("localhost.example.org:1", False),
        (":1", False),
    ],
)
def test_t31_an_address_is_this_machines_alone_or_it_is_not(address: str, here: bool) -> None:
    assert is_loopback(address) is here
