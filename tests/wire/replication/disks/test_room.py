"""Uploads keep the limit that their region has in total, and go on once there is room."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from stoa.replication.v1 import blob_pb2
from stoa.replication.v1 import blob_service_pb2 as pb

from tests.integration.replication.world import some_bytes
from tests.wire.replication.disks.uploading import MIB, info_of, whole

Code = grpc.StatusCode


@pytest.fixture
def group(people) -> str:
    return f"{people.subscription()}/resourceGroups/rg"


@pytest.fixture
def owner(service):
    return service.user().blobs


def create(owner, group: str, name: str, size: int | None = None) -> str:
    blob = blob_pb2.Blob(location="home", size_bytes=size)
    request = pb.CreateBlobRequest(parent=group, blob_id=name, blob=blob)
    created: str = owner.CreateBlob(request).name
    return created


def no_room(call, *args) -> dict[str, str]:
    """What a call says that finds no room in `home`."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*args)
    error: Any = caught.value
    info = info_of(error)
    assert (error.code(), info.reason) == (Code.RESOURCE_EXHAUSTED, "STORE_FULL")
    quota = error_details_pb2.QuotaFailure()
    assert any(one.Unpack(quota) for one in rpc_status.from_call(error).details)
    assert [one.subject for one in quota.violations] == ["regions/home"]
    return dict(info.metadata)


def test_an_upload_stops_at_the_limit_and_goes_on_once_there_is_room(service, owner, group):
    service.world.limit("home", 10 * MIB)
    first = create(owner, group, "first")
    owner.UploadBlob(whole(first, some_bytes(6 * MIB, 1)))
    data = some_bytes(12 * MIB, 2)
    second = create(owner, group, "second", len(data))
    said = no_room(owner.UploadBlob, whole(second, data))
    assert said["location"] == "home"
    assert int(said["needed_bytes"]) > int(said["free_bytes"])
    occupied = service.world.rows.read(lambda tx: tx.room.occupied("home"))
    assert occupied <= 10 * MIB
    owner.DeleteBlob(pb.DeleteBlobRequest(name=first))
    service.world.limit("home", 12 * MIB)
    durable = owner.GetBlob(pb.GetBlobRequest(name=second)).committed_bytes
    done = owner.UploadBlob(whole(second, data, durable)).blob
    assert done.state == blob_pb2.Blob.STATE_COMMITTED
    # Nothing is promised to anybody any more.
    assert service.world.rows.read(lambda tx: tx.room.occupied("home")) == len(data)


def test_zeros_take_no_room(service, owner, group):
    service.world.limit("home", MIB)
    data = bytes(64 * MIB) + some_bytes(MIB, 3)
    done = owner.UploadBlob(whole(create(owner, group, "sparse"), data)).blob
    assert done.stored_bytes == MIB


def test_a_region_that_is_full_takes_no_new_blob(service, owner, group):
    service.world.limit("home", MIB)
    owner.UploadBlob(whole(create(owner, group, "first"), some_bytes(MIB, 1)))
    said = no_room(create, owner, group, "second")
    assert said == {"location": "home", "needed_bytes": "1", "free_bytes": "0"}
