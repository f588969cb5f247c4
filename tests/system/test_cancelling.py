"""An operation of the catalog is cancelled where the bytes are, and what it left is repaired."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.catalog.v1.provisioning_state_pb2 import (
    PROVISIONING_STATE_FAILED,
    PROVISIONING_STATE_SUCCEEDED,
)
from stoa.replication.v1 import region_pb2, region_service_pb2, replication_service_pb2
from stoa.replication.v1.region_service_pb2_grpc import RegionServiceStub
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.type.v1.replication_state_pb2 import (
    REGIONAL_REPLICATION_STATE_CANCELLED,
    REGIONAL_REPLICATION_STATE_COMPLETED,
    REGIONAL_REPLICATION_STATE_REPLICATING,
)

from tests.system.disks import MIB, noise
from tests.system.installation import Installation, eventually, installed
from tests.system.publishing import (
    HOME,
    OS,
    Place,
    begin,
    get_version,
    make_image,
    make_regions,
    make_shop,
    read,
)

pytestmark = pytest.mark.timeout(240)

SLOW = "slowlane"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("cancelling")) as installation:
        limits = region_pb2.RegionLimits(bandwidth_bytes_per_second=MIB)
        places = [Place(HOME, "East US"), Place(SLOW, "Slow Lane")]
        make_regions(installation, places, slowlane=limits)
        yield installation


def test_a_cancelled_operation_stops_the_copy_and_a_retry_of_replication_repairs_it(
    slow: Installation,
) -> None:
    owner = slow.client()
    shop = make_shop(owner)
    disk = noise(24, 31)
    image = make_image(owner, shop.group, disk)
    operation, name = begin(shop, image, {HOME: 1, SLOW: 1})
    eventually(
        lambda: (
            [one.state for one in get_version(owner, name).replication_status.summary]
            == [REGIONAL_REPLICATION_STATE_COMPLETED, REGIONAL_REPLICATION_STATE_REPLICATING]
        ),
        "the home region is done and the slow one is being copied",
    )

    request = operations_pb2.CancelOperationRequest(name=operation.name)
    stub: Any = OperationsStub(owner.channel("catalog"))
    stub.CancelOperation(request)

    assert owner.ended(operation).error.code == grpc.StatusCode.CANCELLED.value[0]
    after = get_version(owner, name)
    assert after.provisioning_state == PROVISIONING_STATE_FAILED
    home, away = after.replication_status.summary
    assert (home.usable, away.usable) == (True, False)
    assert away.state == REGIONAL_REPLICATION_STATE_CANCELLED
    assert read(owner, name, OS, HOME).digest == disk.digest

    owner.of(RegionServiceStub).UpdateRegion(
        region_service_pb2.UpdateRegionRequest(
            region=region_pb2.Region(name=f"regions/{SLOW}"),
            update_mask=FieldMask(paths=["limits"]),
        )
    )
    retry = replication_service_pb2.RetryReplicationRequest(name=name)
    owner.of(ReplicationServiceStub).RetryReplication(retry)

    eventually(
        lambda: get_version(owner, name).provisioning_state == PROVISIONING_STATE_SUCCEEDED,
        "the cancelled region is repaired",
    )
    assert read(owner, name, OS, SLOW).digest == disk.digest
    assert get_version(owner, name).generation == 1
    assert owner.ended(operation).HasField("error")
