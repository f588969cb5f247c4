"""`stoa image-version verify` on a real replication service and its stores."""

import json
from typing import Any

import pytest

from cli.app import run
from cli.installation.identity import make_token
from services.kernel.rpc.registry import Audience
from tests.wire.replication.conftest import authz, service, working, world  # noqa: F401 - fixtures
from tests.wire.replication.service import MIB, Service, World
from tests.wire.replication.test_verifications import flip, publish, segment_of


class Verify:
    """The command on a version of the test, by its full name."""

    def __init__(self, made: World, capsys: pytest.CaptureFixture[str]) -> None:
        self._world = made
        self._capsys = capsys

    def __call__(self, *options: str) -> tuple[int, Any, str]:
        """Run it; answer its exit code, result and what it tells."""
        name = self._world.version
        version = ("-g", name, "-r", name, "-i", name, "-e", name)
        code = run(("image-version", "verify", *version, *options, "-o", "json"))
        told = self._capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err


@pytest.fixture
def verify(
    working: Service,  # noqa: F811
    world: World,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Verify:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("STOA_HOME", str(home))
    monkeypatch.setenv("STOA_CONTEXTS", str(home / "contexts.toml"))
    token = make_token(working.layout, subject="owner", tenant="default")
    monkeypatch.setenv("STOA_TOKEN", token)
    endpoint = f"127.0.0.1:{working.server.ports[Audience.CLIENT]}"
    services = (f"--{one}={endpoint}" for one in ("catalog", "replication", "authz"))
    assert run(("context", "add", "test", *services, "--subscription", "default")) == 0
    assert run(("context", "use", "test")) == 0
    capsys.readouterr()
    return Verify(world, capsys)


def test_good_replicas_are_verified_and_each_region_is_shown(
    verify: Verify,
    world: World,  # noqa: F811
) -> None:
    publish(world, {"home": 2, "east": 1})
    code, found, told = verify()
    assert (code, found) == (0, [])
    for name, total in (("home", "6.0 MiB"), ("east", "3.0 MiB")):
        (line,) = [
            one
            for one in told.splitlines()
            if one.startswith(world.location(name)) and "Verified" in one
        ]
        assert f"{total} of {total}" in line
    assert "6 disks of replicas verified, 0 damaged" in told


def test_damage_is_listed_and_repaired_unless_it_is_only_to_be_reported(
    verify: Verify,
    world: World,  # noqa: F811
) -> None:
    publish(world, {"home": 2, "east": 1})
    flip(segment_of(world, "home", 2))
    # Neither another region nor another disk is looked at.
    assert verify("--region", world.location("east"))[:2] == (0, [])
    assert verify("--disk", "3")[:2] == (0, [])
    code, (finding,), told = verify("--report-only", "--region", world.location("home"))
    assert code == 5
    assert (finding["slot"], finding["disk"]) == ("s2", {"os": True})
    assert (finding["health"], finding["damagedBytes"]) == (
        "REPLICA_HEALTH_DAMAGED",
        str(2 * MIB),
    )
    assert "Not every replica is good" in told
    code, (finding,), told = verify()
    assert (code, finding["repairedBytes"]) == (0, str(2 * MIB))
    assert "2.0 MiB repaired" in told
    assert verify("--depth", "sample")[:2] == (0, [])


def test_what_does_not_fit_is_refused(verify: Verify, world: World) -> None:  # noqa: F811
    publish(world, {"home": 1})
    code, _, told = verify("--depth", "deep")
    assert code == 2
    assert "STORE_CHECKSUM" in told
    code, _, told = verify("--disk", "7")
    assert code == 3
    assert "DISK_NOT_FOUND" in told


def test_without_waiting_the_operation_is_named(
    verify: Verify,
    world: World,  # noqa: F811
) -> None:
    publish(world, {"home": 1})
    code, operation, _ = verify("--no-wait")
    assert code == 0
    assert operation["metadata"]["verb"] == "verify"
