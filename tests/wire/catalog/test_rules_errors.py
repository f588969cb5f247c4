"""Errors of which the original has a row, and that no other test is about (gallery-semantics 4)."""

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from stoa.catalog.v1 import image_definition_pb2, provisioning_state_pb2
from stoa.replication.v1 import copy_state_pb2

from services.kernel.rpc.registry import Audience
from tests.wire.catalog.installation import Refusal, World, refused
from tests.wire.catalog.replication import COMPLETED, FAILED

Code = grpc.StatusCode


@pytest.mark.parametrize("field", ["os_type", "os_state", "hyper_v_generation", "architecture"])
def test_a_value_that_an_enumeration_has_not_is_told(world: World, field: str) -> None:
    wrong: dict[str, Any] = {field: 99}
    with refused(Code.INVALID_ARGUMENT, "INVALID_FIELDS") as found:
        world.definition(**wrong)
    assert set(found.fields) == {f"image_definition.{field}"}


@pytest.mark.parametrize("seconds", [-(10**11), 10**12])
def test_a_time_that_is_none_is_told(world: World, seconds: int) -> None:
    with refused(Code.INVALID_ARGUMENT, "INVALID_FIELDS") as found:
        world.version(end_of_life_time=Timestamp(seconds=seconds))
    assert set(found.fields) == {"image_version.end_of_life_time"}


def test_a_missing_parent_is_named(world: World) -> None:
    gallery, definition = f"{world.gallery()}x", f"{world.definition()}x"
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND") as found:
        world.definition(gallery)
    assert found.info.metadata["resource"] == gallery
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND") as found:
        world.version(definition)
    assert found.info.metadata["resource"] == definition


def test_a_disk_that_proves_too_large_fails_its_region(world: World) -> None:
    version, operation = world.version(regions=("eastus", "westus"))
    cause = copy_state_pb2.FailureCause()
    cause.status.code = Code.FAILED_PRECONDITION.value[0]
    cause.status.message = "the disk is larger than a version may be"
    info = error_details_pb2.ErrorInfo(reason="SOURCE_TOO_LARGE", domain="replication.stoa.dev")
    cause.status.details.add().Pack(info)
    world.replication.tell(version.uid, "westus", FAILED, cause=cause)
    world.replication.tell(version.uid, "eastus", COMPLETED)
    ended = Refusal()
    ended.read(world.wait(operation).error)
    assert ended.preconditions == {"westus": "SOURCE_TOO_LARGE"}
    after = world.get(version.name)
    assert after.provisioning_state == provisioning_state_pb2.PROVISIONING_STATE_FAILED
    assert [one.usable for one in after.replication_status.summary] == [True, False]
    assert not after.replication_status.summary[1].retryable


def test_an_unknown_method_is_unimplemented(world: World) -> None:
    def ask(channel: grpc.Channel, method: str) -> Any:
        send = image_definition_pb2.ImageDefinition.SerializeToString
        call: Any = channel.unary_unary(method, request_serializer=send)
        return call(image_definition_pb2.ImageDefinition(), timeout=20)

    port = world.catalog.ports[Audience.CLIENT]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in ("GalleryService/MoveGallery", "LockService/GetLock"):
            with pytest.raises(grpc.RpcError) as raised:
                ask(channel, f"/stoa.catalog.v1.{method}")
            error: Any = raised.value
            assert error.code() is Code.UNIMPLEMENTED


def test_a_name_that_is_taken_by_a_definition_says_so(world: World) -> None:
    gallery = world.gallery()
    name = world.definition(gallery)
    request = world.definition_request(gallery)
    # A name in other letters is the same name.
    request.image_definition_id = name.rpartition("/")[2].upper()
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS") as found:
        world.owner.definitions.CreateImageDefinition(request)
    assert found.info.metadata["resource"] == name
    request.image_definition.location = "West US"
    with refused(Code.ALREADY_EXISTS, "LOCATION_CONFLICT") as found:
        world.owner.definitions.CreateImageDefinition(request)
    assert dict(found.info.metadata) == {"resource": name, "location": "eastus"}
