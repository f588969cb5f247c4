"""Copies of a version that failed: listed with their cause, and made once it is mended."""

from pathlib import Path

from stoa.replication.v1 import replication_pb2 as pb

from tests.wire.cli.replication.conftest import Command
from tests.wire.replication.service import Service, World, eventually, told


def test_what_failed_for_its_store_is_copied_again_once_the_store_is_replaced(
    version: Command,
    region: Command,
    working: Service,
    world: World,
) -> None:
    for name in ("home", "east"):
        world.region(name)
    root = Path(world.url("east").removeprefix("file://"))
    root.rename(root.with_name("broken"))
    root.mkdir()
    disks = {"os": world.blob(b"x" * 70_000)}
    made = world.ensure(world.desired(disks, {"home": 1, "east": 1}))
    events = told(world.watch(made.replication, 0))
    assert events[-1].end.state == pb.Replication.STATE_FAILED
    code, found, _ = version("list-replicas")
    assert code == 0
    by_region = {one["location"]: one for one in found}
    home, east = (by_region[world.location(name)] for name in ("home", "east"))
    assert (home["state"], home["health"]) == ("COPY_STATE_COMPLETED", "REPLICA_HEALTH_GOOD")
    assert east["state"] == "COPY_STATE_FAILED"
    assert "REPLICA_MISMATCH" in str(east["cause"])
    # A retry alone meets the same; an empty store in the place of the broken one helps.
    code, _, errors = version("retry", "--region", world.location("east"))
    assert code == 5
    assert world.location("east") in errors
    assert region("update", "--replace-slot", "s1", of="east")[0] == 0
    code, operation, errors = version("retry", "--no-wait")
    assert code == 0, errors
    assert operation["metadata"]["verb"] == "retry"

    def is_everywhere() -> bool:
        _, found, _ = version("list-replicas", "--filter", "health = GOOD")
        return {one["location"] for one in found} == set(by_region)

    eventually(is_everywhere, "the retried copy")
    code, _, errors = version("retry")
    assert (code, "NOTHING_TO_RETRY" in errors) == (5, True)
