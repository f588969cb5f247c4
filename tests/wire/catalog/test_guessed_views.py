"""T7: names of shared and community galleries are not found by trying."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import community_gallery_service_pb2 as community_pb
from stoa.catalog.v1 import image_resolution_pb2

from services.kernel.clock import FakeClock
from services.kernel.rpc.guesses import GuessLimit
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.galleries import ENABLE, RESET, community, get, share
from tests.wire.catalog.installation import Catalog, World, refused
from tests.wire.catalog.test_views import Consumer, published

Code = grpc.StatusCode
MISSES = 5


@pytest.fixture
def clock(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of a limit that is full soon."""
    clock = FakeClock(datetime(2026, 6, 1, tzinfo=UTC))
    limit = GuessLimit(MISSES, clock=clock)
    monkeypatch.setattr(catalog.runtime.control, "_guesses", limit)
    return clock


def _gets(consumer: Consumer) -> Callable[[str], Any]:
    return consumer.get_community


def _lists_everywhere(consumer: Consumer) -> Callable[[str], Any]:
    def call(name: str) -> Any:
        # With `-` for the region only the right to look is decided before the name is.
        parent = name.replace("/locations/eastus/", "/locations/-/")
        request = community_pb.ListCommunityGalleryImagesRequest(parent=parent)
        return consumer.stubs.community.ListCommunityGalleryImages(request)

    return call


def _resolves(consumer: Consumer) -> Callable[[str], Any]:
    def call(name: str) -> Any:
        request = image_resolution_pb2.ResolveImageVersionRequest(
            image=f"{name}/images/linux", location="eastus"
        )
        return consumer.stubs.versions.ResolveImageVersion(request)

    return call


@pytest.mark.parametrize("calls", [_gets, _lists_everywhere, _resolves])
def test_t7_too_many_names_that_are_not_there_are_refused(
    world: World,
    policy: Policy,
    clock: FakeClock,
    calls: Callable[[Consumer], Callable[[str], Any]],
) -> None:
    gallery, never = community(world), community(world)
    published(world, gallery)
    share(world, gallery, ENABLE)
    mallory, alice = Consumer(world, policy), Consumer(world, policy)
    there = mallory.community(get(world, gallery))
    call = calls(mallory)
    # One that exists and is not enabled is as if it did not exist.
    guesses = [mallory.community(get(world, never))]
    guesses += [f"{mallory.region()}/communityGalleries/Golden-{n}" for n in range(MISSES - 1)]
    for guessed in guesses:
        with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
            call(guessed)

    answers = []
    for name in (guesses[0], guesses[1], there):
        with refused(Code.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS") as refusal:
            call(name)
        answers.append((refusal.message, str(refusal.info)))
    assert len(set(answers)) == 1
    assert alice.get_community(alice.community(get(world, gallery)))
    assert mallory.list_community().community_galleries is not None

    clock.advance(60 / MISSES)
    assert mallory.get_community(there)
    share(world, gallery, RESET)
