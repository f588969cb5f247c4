"""Two watchers of one replication are told the same, whatever happens to their connections."""

from collections.abc import Iterable
from typing import Any

import pytest
from stoa.catalog.v1 import image_version_pb2
from stoa.replication.v1 import region_pb2, replication_pb2, replication_watch_pb2
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.type.v1.replication_state_pb2 import REGIONAL_REPLICATION_STATE_COMPLETED

from tests.system.disks import MIB, noise, sparse
from tests.system.installation import Client, Installation
from tests.system.publishing import Place, begin, make_image, make_regions, make_shop

pytestmark = pytest.mark.timeout(240)

Response = replication_watch_pb2.WatchReplicationResponse
SLOW = Place("slowlane", "Slow Lane")


@pytest.fixture(scope="module")
def owner(installation: Installation) -> Client:
    limits = region_pb2.RegionLimits(bandwidth_bytes_per_second=8 * 1024 * 1024)
    make_regions(installation, [SLOW], slowlane=limits)
    return installation.client()


def numbered(responses: Iterable[Response]) -> list[Response]:
    """What has a number of its own: transitions and the end."""
    return [one for one in responses if one.WhichOneof("event") in {"transition", "end"}]


def watch(client: Client, name: str, **more: Any) -> Any:
    stub = client.of(ReplicationServiceStub)
    return stub.WatchReplication(replication_watch_pb2.WatchReplicationRequest(name=name, **more))


def test_a_watcher_that_resumes_sees_what_one_that_stayed_sees(owner: Client) -> None:
    shop = make_shop(owner)
    image = make_image(owner, shop.group, noise(16, 31), sparse(16, 4, 32))
    operation, version = begin(shop, image, {"eastus": 1, "westus": 1, SLOW.id: 1})

    staying = watch(owner, version, minimum_generation=1)
    leaving = watch(owner, version, minimum_generation=1)
    before = []
    for response in leaving:
        before.append(response)
        if len(numbered(before)) == 3:
            break
    leaving.cancel()
    last = before[-1]
    assert last.WhichOneof("event") == "transition", "it ended before it could be left"
    after = list(watch(owner, last.replication, after_sequence=last.sequence))
    stayed = list(staying)

    assert next(one for one in before if one.replication).HasField("snapshot")
    assert not any(one.HasField("snapshot") for one in after)
    everything = list(watch(owner, last.replication, after_sequence=0))
    whole = numbered(everything)
    assert [one.sequence for one in whole] == list(range(1, len(whole) + 1))
    for seen in (numbered(stayed), [*numbered(before), *numbered(after)]):
        assert len(seen) > 1
        assert seen == whole[seen[0].sequence - 1 :]

    assert [one.HasField("end") for one in whole] == [False] * (len(whole) - 1) + [True]
    end = whole[-1].end
    assert end.state == replication_pb2.Replication.STATE_COMPLETED
    assert end.progress.percent == 100
    owner.result(operation, image_version_pb2.ImageVersion)


def test_each_region_completes_once_and_progress_never_goes_back(owner: Client) -> None:
    shop = make_shop(owner)
    image = make_image(owner, shop.group, noise(24, 41))
    _, version = begin(shop, image, {"eastus": 2, "westus": 1, SLOW.id: 1})

    responses = list(watch(owner, version, minimum_generation=1))

    completed = [
        one.transition.location
        for one in responses
        if one.transition.region_state == REGIONAL_REPLICATION_STATE_COMPLETED
    ]
    snapshot = next(one.snapshot for one in responses if one.HasField("snapshot"))
    completed += [
        one.location
        for one in snapshot.replication.regions
        if one.state == REGIONAL_REPLICATION_STATE_COMPLETED
    ]
    assert sorted(completed) == ["eastus", SLOW.id, "westus"]
    copied: dict[str, list[int]] = {}
    for one in responses:
        if one.HasField("progress"):
            now = one.progress.progress.bytes
            copied.setdefault(one.progress.location, []).append(now.copied_bytes)
            assert now.total_bytes in {0, 24 * MIB, 48 * MIB}
    assert all(figures == sorted(figures) for figures in copied.values())
    # The limit of the region makes it take seconds: what happened between is shown.
    assert any(0 < figure < 24 * MIB for figure in copied[SLOW.id])
    assert [one.sequence for one in responses] == sorted(one.sequence for one in responses)
