"""Requests of the owner that mean to break what reads them: ids, wildcards, pages, sizes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from stoa.catalog.v1 import (
    gallery_service_pb2,
    image_version_requests_pb2,
    vhd_pb2,
    virtual_machine_pb2,
    virtual_machine_service_pb2,
)
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub
from stoa.catalog.v1.virtual_machine_service_pb2_grpc import VirtualMachineServiceStub
from stoa.type.v1 import method_policy_pb2

from tests.system.errors import Refusal, refusal
from tests.system.installation import Installation
from tests.system.publishing import unique
from tests.system.test_contract import DEFECTS, SERVICES, call, methods
from tests.system.test_hostile_input import PATHS
from tests.system.victims import Victim

pytestmark = pytest.mark.timeout(300)

INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
FILTERS: Final = (
    "(" * 900 + 'name = "a"' + ")" * 900,
    " AND ".join(f'tags.a = "{number}"' for number in range(21)),
    "NOT " * 400 + 'name = "a"',
    "-" * 2000,
    '"' * 2000,
    'name = "' + "\\" * 1999,
    'tags."a\\"b\'" = "c\\\\"',
    'tags.`a` = "c"',
    'name = "' + "x" * 5000 + '"',
    'create_time > "0001-01-01T00:00:00+23:59"',
    'create_time < "9999-12-31T23:59:59-00:01"',
    "create_time > 1e999",
    'name : "%" AND name : "_"',
)


def sown_requests(victim: Victim, prefix: str = "") -> Iterator[tuple[str, MethodDescriptor, Any]]:
    """One request for each method whose name begins so, to change and to send."""
    for service in SERVICES:
        for method in methods(service):
            seeds = victim.owner.loot.seeds.get(method.input_type.full_name, ())
            if method.name.startswith(prefix) and seeds:
                request = GetMessageClass(method.input_type)()
                request.CopyFrom(seeds[0])
                yield service, method, request


def asked(victim: Victim, service: str, method: MethodDescriptor, request: Any) -> Refusal | None:
    found = call(victim.owner.channel(service), method, request)
    assert found is None or (found.code not in DEFECTS and found.details), method.full_name
    return found


def test_no_resource_takes_an_id_that_plays_with_paths(sown: Victim) -> None:
    tried = set()
    for service, method, request in sown_requests(sown, "Create"):
        (field,) = (
            [one.name for one in method.input_type.fields if one.name.endswith("_id")
             and one.name not in {"request_id", "initial_owner_id"}]
        )  # fmt: skip
        for text in PATHS:
            if text == "-":
                continue
            setattr(request, field, text)
            refused = asked(sown, service, method, request)
            assert refused is not None, f"{method.full_name} takes {text!r}"
            assert refused.code is INVALID, f"{method.full_name} of {text!r}: {refused.code}"
            assert field in refused.fields, f"{method.full_name} of {text!r}: {refused.fields}"
        tried.add(method.name)
    assert len(tried) >= 20, tried


def test_a_wildcard_stands_for_nothing_where_one_thing_is_meant(sown: Victim) -> None:
    tried = 0
    for service, method, request in sown_requests(sown):
        path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
        if not path or method.name.startswith(("List", "Search")):
            continue
        *above, last = path.split(".")
        holder = request
        for one in above:
            holder = getattr(holder, one)
        parts = getattr(holder, last).split("/")
        for at in range(1, len(parts), 2):
            setattr(holder, last, "/".join([*parts[:at], "-", *parts[at + 1 :]]))
            refused = asked(sown, service, method, request)
            assert refused is not None, f"{method.full_name} of {getattr(holder, last)}"
            assert refused.code is INVALID, f"{method.full_name}: {refused.code}"
            tried += 1
    assert tried >= 100


def test_a_page_token_is_good_for_no_other_list(sown: Victim) -> None:
    pages: dict[str, str] = {}
    for service, method, request in sown_requests(sown, "List"):
        request.page_size = 1
        request.page_token = ""
        channel = sown.owner.channel(service)
        path = f"/{method.containing_service.full_name}/{method.name}"
        answer: Any = channel.unary_unary(
            path,
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(request)
        if answer.next_page_token:
            pages[method.full_name] = answer.next_page_token
    assert len(pages) >= 10
    for service, method, request in sown_requests(sown, "List"):
        for issuer, token in pages.items():
            if issuer == method.full_name:
                continue
            request.page_token = token
            refused = asked(sown, service, method, request)
            assert refused is not None, f"{method.full_name} takes the page of {issuer}"
            assert (refused.code, set(refused.fields)) == (INVALID, {"page_token"})


@pytest.mark.parametrize("text", FILTERS, ids=lambda one: one[:16])
def test_a_filter_is_taken_or_refused_and_never_breaks_a_list(sown: Victim, text: str) -> None:
    lists = [
        one for one in sown_requests(sown, "List") if "filter" in one[1].input_type.fields_by_name
    ]
    assert len(lists) >= 20
    for service, method, request in lists:
        request.filter = text
        refused = asked(sown, service, method, request)
        if refused is not None:
            assert (refused.code, set(refused.fields)) == (INVALID, {"filter"}), method.full_name


def test_a_mask_as_long_as_a_message_is_one_violation(sown: Victim) -> None:
    request = gallery_service_pb2.UpdateGalleryRequest()
    request.gallery.name = sown.private.gallery
    stub = sown.owner.of(GalleryServiceStub)
    for count in (257, 1_000_000):
        del request.update_mask.paths[:]
        request.update_mask.paths.extend("x" for _ in range(count))
        found = refusal(stub.UpdateGallery, request)
        assert found.code is INVALID
        assert len(found.fields) == 1
        assert len(found.message) < 200


def test_as_many_regions_disks_and_keys_as_there_may_be_are_refused_one_by_one(
    sown: Victim,
) -> None:
    name = f"{sown.private.definition}/versions/1.0.0"
    request = image_version_requests_pb2.UpdateImageVersionRequest()
    request.image_version.name = name
    for region in range(256):
        added = request.image_version.target_regions.add(location=f"nowhere{region}")
        for lun in range(64):
            keys = f"{sown.private.group}/diskEncryptionSets/absent{region * 64 + lun}"
            added.encryption.data_disk_images.add(lun=lun, disk_encryption_set=keys)
    found = refusal(sown.owner.of(ImageVersionServiceStub).UpdateImageVersion, request)
    assert found.code is INVALID
    assert "image_version.target_regions[0].location" in found.fields


def vhd_request(sown: Victim, path: str) -> Any:
    account = sown.name("StorageAccount")
    vhd = vhd_pb2.Vhd(storage_account=account, path=path)
    (seed, *_) = sown.owner.loot.seeds["stoa.catalog.v1.CreateVirtualMachineRequest"]
    request = virtual_machine_service_pb2.CreateVirtualMachineRequest()
    request.CopyFrom(seed)  # type: ignore[arg-type]
    request.virtual_machine_id = unique("vm")
    del request.virtual_machine.data_disks[:]
    request.virtual_machine.os_disk.CopyFrom(virtual_machine_pb2.VirtualMachineOsDisk(vhd=vhd))
    return request


@pytest.mark.parametrize(
    "path", ["../client.toml", "/etc/passwd", "web/../../x", "./web/os.vhd", "web//os.vhd", "a%2fb"]
)
def test_t3_a_path_of_a_vhd_stays_below_its_account(sown: Victim, path: str) -> None:
    stub = sown.owner.of(VirtualMachineServiceStub)
    found = refusal(stub.CreateVirtualMachine, vhd_request(sown, path))
    assert found.code is INVALID
    assert list(found.fields) == ["virtual_machine.os_disk.vhd.path"]


@pytest.mark.parametrize("kind", ["link", "link to a directory", "pipe", "directory", "device"])
def test_what_is_no_file_of_the_store_is_no_vhd(
    installation: Installation, sown: Victim, tmp_path: Path, kind: str
) -> None:
    store = installation.layout.data.parent / "vhds"
    outside = tmp_path / "outside.vhd"
    outside.write_bytes((store / "web" / "os.vhd").read_bytes())
    name = unique("x")
    path = store / name
    match kind:
        case "link":
            path.symlink_to(outside)
        case "link to a directory":
            path.symlink_to(tmp_path)
            name = f"{name}/outside.vhd"
        case "pipe":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to("/dev/zero")
    stub = sown.owner.of(VirtualMachineServiceStub)
    found = refusal(stub.CreateVirtualMachine, vhd_request(sown, name))
    assert found.code in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION}
    assert str(tmp_path) not in found.message
