"""Whoever may not do something costs no statement of SQL, and so learns nothing by its time."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from stoa.catalog.v1 import target_region_pb2, virtual_machine_pb2
from stoa.type.v1 import method_policy_pb2

from cli.installation.identity import make_token
from services.catalog.servicers.registry import FACTORIES
from services.kernel.rpc.resource_names import _field, _patterns
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.encryption import keyed, make_set
from tests.wire.catalog.installation import Catalog, World, _Bearer, refused
from tests.wire.catalog.sources import DISK, MACHINE

DENIED = grpc.StatusCode.PERMISSION_DENIED


UNBUILT = Path(__file__).parents[2] / "system" / "unbuilt_methods.txt"


def guarded() -> Iterator[MethodDescriptor]:
    """The methods whose action is decided before they are served."""
    pool: Any = descriptor_pool.Default()
    for service in FACTORIES:
        if service.startswith("stoa."):
            for method in pool.FindServiceByName(service).methods:
                policy = method.GetOptions().Extensions[method_policy_pb2.policy]
                if policy.rule == method_policy_pb2.ACCESS_RULE_ACTION and policy.scope_field:
                    yield method


GUARDED = {
    str(method.full_name): method
    for method in guarded()
    if method.full_name not in UNBUILT.read_text().split()
}


@pytest.fixture(scope="module", autouse=True)
def alone(catalog: Catalog) -> Iterator[None]:
    """Nothing else is done with the database, whose statements are counted."""
    catalog.catch_up()
    catalog.duties.stop()
    yield
    catalog.restart_workers()


@pytest.mark.parametrize("name", sorted(GUARDED))
def test_t8_nothing_is_looked_up_for_whom_the_method_is_not(catalog: Catalog, name: str) -> None:
    method = GUARDED[name]
    request = GetMessageClass(method.input_type)()
    path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
    patterns: Any = _patterns(_field(method.input_type, path), method.input_type.file) or ()
    ids = {"subscription": "default", "version": "1.0.0"}
    *above, last = path.split(".")
    holder: Any = request
    for one in above:
        holder = getattr(holder, one)
    setattr(holder, last, re.sub(r"\{(\w+)\}", lambda one: ids.get(one[1], "eastus"), patterns[0]))
    token = make_token(catalog.authz.layout, subject="nobody", tenant="default")
    channel = grpc.intercept_channel(catalog._plain, _Bearer(token))
    call: Any = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
    )
    with catalog.foundation.db.statements() as statements, refused(DENIED):
        call(request)
    assert statements == []


def stranger(policy: Policy, catalog: Catalog) -> tuple[Any, str]:
    """Somebody who owns another subscription, and that."""
    subscription = policy.subscription()
    user = policy.user()
    policy.assign(user, "Owner", subscription)
    return catalog.user(user.rpartition("/")[2]), subscription


@pytest.mark.parametrize("field", ["blob", "disk_encryption_set", "disk", "source", "encryption"])
def test_t1_nothing_is_looked_up_of_a_source_that_is_not_the_callers(
    catalog: Catalog, world: World, policy: Policy, field: str
) -> None:
    stubs, subscription = stranger(policy, catalog)
    group = world.group()
    theirs = make_set(world, group=group)
    name = f"{subscription}/resourceGroups/mine"
    match field:
        case "blob" | "disk_encryption_set":
            request = DISK.request(world, group)
            request.disk.blob = world.blob(group) if field == "blob" else f"{name}/blobs/mine"
            request.disk.disk_encryption_set = "" if field == "blob" else theirs
            send = stubs.disks.CreateDisk
        case "disk":
            disk = DISK.create(world, DISK.request(world, group)).name
            os_disk = virtual_machine_pb2.VirtualMachineOsDisk(disk=disk)
            request = MACHINE.request(world, group)
            request.virtual_machine.os_disk.CopyFrom(os_disk)
            send = stubs.virtual_machines.CreateVirtualMachine
        case _:
            region = keyed("eastus", theirs)
            plain = target_region_pb2.TargetRegion(location="eastus")
            request = world.version_request(regions=())
            chosen = region if field == "encryption" else plain
            request.image_version.target_regions.append(chosen)
            send = stubs.versions.CreateImageVersion
            name += "/galleries/mine/images/mine"
    request.parent = name
    with catalog.foundation.db.statements() as statements, refused(DENIED) as found:
        send(request)
    assert found.info.reason == "LINKED_PERMISSION_DENIED"
    assert statements == []
