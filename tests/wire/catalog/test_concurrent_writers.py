"""Many writers of one version's regions at once: nobody's region is lost without a word.

The original keeps no revision, so that two writers who had read the same list drop each other's
regions (gallery-semantics 6). Here every change either is in what comes of it, or its writer was
told why not: the changes that were made, in the order of their generations, lead from the state
before a round to the state after it.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from stoa.catalog.v1 import image_version_pb2, operation_metadata_pb2, target_region_pb2
from stoa.catalog.v1 import image_version_requests_pb2 as requests_pb
from stoa.catalog.v1 import target_region_requests_pb2 as pb

from tests.integration.conftest import postgresql_server, postgresql_url  # noqa: F401 - fixtures
from tests.wire.authz.installation import Installation
from tests.wire.catalog.installation import Catalog, World, status_of
from tests.wire.catalog.replication import Replication

ROUNDS = 100
WRITERS = 8
HOME = "eastus"
PLACES = tuple(f"place{number}" for number in range(12))
ACCEPTED = image_version_pb2.WAIT_MODE_ACCEPTED
# What a writer may be told, by the call that it makes.
EXCUSES = {
    "add": {"REGION_TARGETED_OTHERWISE"},
    "remove": set[str](),
    "set": {"REGION_NOT_TARGETED"},
    "update": {"REGION_REMOVAL_FORBIDDEN"},
    "update_etag": {"ETAG_MISMATCH"},
}

State = Mapping[str, int]
"""The regions that a version is wanted in, in their order, and how often."""


@dataclass(frozen=True)
class Writer:
    """A call, and what it makes of the state that it meets."""

    kind: str
    call: Callable[[], Any]
    effect: Callable[[State], State]


@dataclass(frozen=True)
class Outcome:
    """What a writer was told: the generation that its change made, or why it made none."""

    writer: Writer
    generation: int = 0
    reason: str = ""


@pytest.fixture(params=["sqlite", "postgresql"])
def world(
    request: pytest.FixtureRequest, authz: Installation, replication: Replication, tmp_path: Path
) -> Iterator[World]:
    for place in PLACES:
        replication.add_region(place, slots=4)
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    catalog = Catalog(authz, replication, tmp_path, url)
    yield World(catalog)
    catalog.close()


@pytest.mark.timeout(300)
def test_every_region_that_eight_writers_ask_for_is_there_or_they_are_told_why(
    world: World,
) -> None:
    version, _ = world.version(wait_for=ACCEPTED)
    told: dict[str, int] = {}
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            before = world.get(version.name)
            writers = _writers(world, before, random.Random(number))
            start = Barrier(WRITERS)
            outcomes = list(pool.map(lambda one, start=start: _run(one, start), writers))
            for one in outcomes:
                told[one.reason] = told.get(one.reason, 0) + 1
                assert not one.reason or one.reason in EXCUSES[one.writer.kind], one
            after = world.get(version.name)
            made = sorted(
                (one for one in outcomes if not one.reason), key=lambda one: one.generation
            )
            state = _state(before)
            for one in made:
                state = one.writer.effect(state)
            assert list(_state(after).items()) == list(state.items()), (number, made)
    # Both happened: changes that were made, and changes that were refused.
    assert told[""] > ROUNDS * WRITERS // 2, told
    assert len(told) > 2, told


def _run(writer: Writer, start: Barrier) -> Outcome:
    start.wait(30)
    try:
        operation = writer.call()
    except grpc.RpcError as error:
        return Outcome(writer, reason=_reason(error))
    metadata = operation_metadata_pb2.ImageVersionOperationMetadata()
    assert operation.metadata.Unpack(metadata)
    return Outcome(writer, generation=metadata.generation)


def _reason(error: Any) -> str:
    info = error_details_pb2.ErrorInfo()
    for detail in status_of(error).details:
        if detail.Unpack(info):
            break
    return info.reason


def _state(version: Any) -> State:
    return {
        one.location: one.regional_replica_count or version.replica_count
        for one in version.target_regions
    }


def _writers(world: World, version: Any, dice: random.Random) -> list[Writer]:
    """Answer eight writers: adding, removing, counting, and giving lists that may be stale."""
    present = [one.location for one in version.target_regions if one.location != HOME]
    absent = [one for one in PLACES if one not in present]
    dice.shuffle(present)
    dice.shuffle(absent)
    taken = iter(absent + present)
    first, second, third, fourth, fifth = (next(taken) for _ in range(5))
    leaving = present[:1] or [first]
    return [
        _add(world, version, [first]),
        _add(world, version, [second, third]),
        _add(world, version, [third, fourth]),
        _remove(world, version, leaving),
        _remove(world, version, [second, "place0"] if second != "place0" else [second]),
        _count(world, version, dice.choice([*leaving, HOME, first]), dice.randint(2, 4)),
        _update(world, version, fourth, keep_etag=True),
        _update(world, version, fifth, keep_etag=False),
    ]


def _add(world: World, version: Any, places: list[str]) -> Writer:
    regions = [target_region_pb2.TargetRegion(location=one) for one in places]
    request = pb.AddTargetRegionsRequest(
        name=version.name, target_regions=regions, wait_for=ACCEPTED
    )
    new = dict.fromkeys(places, version.replica_count)
    return Writer(
        "add",
        lambda: world.owner.versions.AddTargetRegions(request),
        lambda state: {**state, **{one: n for one, n in new.items() if one not in state}},
    )


def _remove(world: World, version: Any, places: list[str]) -> Writer:
    request = pb.RemoveTargetRegionsRequest(name=version.name, locations=places, wait_for=ACCEPTED)
    return Writer(
        "remove",
        lambda: world.owner.versions.RemoveTargetRegions(request),
        lambda state: {one: count for one, count in state.items() if one not in places},
    )


def _count(world: World, version: Any, place: str, count: int) -> Writer:
    wanted = pb.RegionalReplicaCount(location=place, replica_count=count)
    # The home region has two slots, as every test of this session has them.
    if place == HOME:
        wanted.replica_count = count = 2
    request = pb.SetReplicaCountsRequest(
        name=version.name, regional_replica_counts=[wanted], wait_for=ACCEPTED
    )
    return Writer(
        "set",
        lambda: world.owner.versions.SetReplicaCounts(request),
        lambda state: {**state, place: count},
    )


def _update(world: World, version: Any, place: str, *, keep_etag: bool) -> Writer:
    """Give the list that was read, with one region more: it may have changed meanwhile."""
    sent = image_version_pb2.ImageVersion(name=version.name, etag=version.etag if keep_etag else "")
    sent.target_regions.extend(version.target_regions)
    wanted = dict(_state(version))
    if place not in wanted:
        sent.target_regions.add(location=place)
        wanted[place] = version.replica_count
    request = requests_pb.UpdateImageVersionRequest(image_version=sent, wait_for=ACCEPTED)
    request.update_mask.paths.append("target_regions")
    return Writer(
        "update_etag" if keep_etag else "update",
        lambda: world.owner.versions.UpdateImageVersion(request),
        lambda _: wanted,
    )
