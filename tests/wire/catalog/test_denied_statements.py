"""Whoever may not do something costs no statement of SQL, and so learns nothing by its time."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from stoa.catalog.v1 import target_region_pb2, virtual_machine_pb2

from cli.installation.identity import make_token
from services.catalog.servicers.registry import FACTORIES
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.encryption import keyed, make_set
from tests.wire.catalog.installation import Catalog, World, refused
from tests.wire.catalog.sources import DISK, MACHINE
from tests.wire.denied_statements import guarded, request, send

DENIED = grpc.StatusCode.PERMISSION_DENIED


GUARDED = guarded([service for service in FACTORIES if service.startswith("stoa.")])


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
    token = make_token(catalog.authz.layout, subject="nobody", tenant="default")
    with catalog.foundation.db.statements() as statements:
        assert send(catalog._plain, method, request(method), token) is DENIED
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
