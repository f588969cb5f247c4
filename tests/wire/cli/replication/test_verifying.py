"""`stoa image-version verify` on a real replication service and its stores."""

from functools import partial

import pytest

from tests.wire.cli.replication.conftest import Command
from tests.wire.replication.service import MIB, Service, World
from tests.wire.replication.test_verifications import flip, publish, segment_of


@pytest.fixture
def verify(working: Service, version: Command) -> Command:
    return partial(version, "verify")


def test_good_replicas_are_verified_and_each_region_is_shown(
    verify: Command,
    world: World,
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
    verify: Command,
    world: World,
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


def test_what_does_not_fit_is_refused(verify: Command, world: World) -> None:
    publish(world, {"home": 1})
    code, _, told = verify("--depth", "deep")
    assert code == 2
    assert "STORE_CHECKSUM" in told
    code, _, told = verify("--disk", "7")
    assert code == 3
    assert "DISK_NOT_FOUND" in told


def test_without_waiting_the_operation_is_named(
    verify: Command,
    world: World,
) -> None:
    publish(world, {"home": 1})
    code, operation, _ = verify("--no-wait")
    assert code == 0
    assert operation["metadata"]["verb"] == "verify"
