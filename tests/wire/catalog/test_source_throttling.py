"""One source feeds so many versions at the same time, and no more (gallery-semantics 3.12)."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.wire.authz.installation import Installation
from tests.wire.catalog.installation import Catalog, World, refused, status_of
from tests.wire.catalog.replication import Replication
from tests.wire.catalog.test_managed_images import image_request
from tests.wire.catalog.test_version_sources import create, disk, finish, request

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def narrow(
    authz: Installation, replication: Replication, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    data = tmp_path_factory.mktemp("narrow")
    found = Catalog(authz, replication, data, max_versions_per_source=2)
    yield found
    found.close()


@pytest.fixture
def world(narrow: Catalog) -> World:
    return World(narrow)


def retry_after(error: Any) -> float:
    found = error_details_pb2.RetryInfo()
    assert any(one.Unpack(found) for one in status_of(error).details)
    return float(found.retry_delay.seconds)


@pytest.mark.parametrize("kind", ["managed_image", "disk"])
def test_a_source_that_feeds_too_many_versions_is_to_be_used_later(world: World, kind: str) -> None:
    group = world.group()
    if kind == "disk":
        name = disk(world, group).name
        wanted: dict[str, Any] = {"disks": {"os": {"disk": name}}}
    else:
        name = world.owner.images.CreateManagedImage(image_request(world, group)).name
        wanted = {"source": {"managed_image": name}}
    into = world.definition()

    def another(number: int) -> Any:
        return request(world, into=into, number=f"{number}.0.0", **wanted)

    first = create(world, another(1))
    create(world, another(2))
    with refused(Code.RESOURCE_EXHAUSTED, "SOURCE_THROTTLED") as refusal:
        world.owner.versions.CreateImageVersion(another(3))
    assert refusal.info.metadata["resource"] == name
    with pytest.raises(grpc.RpcError) as raised:
        world.owner.versions.CreateImageVersion(another(3))
    assert retry_after(raised.value) > 0
    # Another source is another matter, and a version that is done counts no more.
    create(world, request(world, disks={"os": {"disk": disk(world, group).name}}))
    finish(world, first)
    create(world, another(3))
