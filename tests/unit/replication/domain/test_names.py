"""Names that the service parses are those of the contract."""

from google.api import resource_pb2
from stoa.replication.v1 import blob_pb2, image_disk_service_pb2, region_pb2, replication_pb2

from services.replication.domain import names


def patterns_of(file) -> dict[str, list[str]]:
    found = {
        one.type: list(one.pattern)
        for one in file.GetOptions().Extensions[resource_pb2.resource_definition]
    }
    for message in file.message_types_by_name.values():
        one = message.GetOptions().Extensions[resource_pb2.resource]
        found[one.type] = list(one.pattern)
    return found


def test_the_patterns_are_those_of_the_contract():
    assert patterns_of(region_pb2.DESCRIPTOR)[names.REGION_TYPE] == list(names.REGIONS.patterns)
    assert patterns_of(blob_pb2.DESCRIPTOR)[names.BLOB_TYPE] == list(names.BLOBS.patterns)
    found = patterns_of(replication_pb2.DESCRIPTOR)
    assert found[names.REPLICATION_TYPE] == list(names.REPLICATIONS.patterns)
    either = names.REPLICATIONS_OR_VERSIONS.patterns
    assert found["stoa.dev/ReplicationOrImageVersion"] == list(either)
    readable = patterns_of(image_disk_service_pb2.DESCRIPTOR)["stoa.dev/ReadableImageVersion"]
    assert readable == [
        *names.IMAGE_VERSIONS.patterns,
        *names.SHARED_VERSIONS.patterns,
        *names.COMMUNITY_VERSIONS.patterns,
    ]


def test_ids_and_display_names_are_one_key():
    assert names.location_key("East US 2") == names.location_key("eastus2") == "eastus2"


def test_the_storage_id_of_a_tenant_is_opaque_and_the_same_everywhere():
    found = names.storage_id("contoso")
    assert found == names.storage_id("CONTOSO")
    assert "contoso" not in found
    assert len(found) == 32
