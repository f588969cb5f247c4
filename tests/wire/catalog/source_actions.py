"""Resource groups and sources, with all the actions that each operation on them needs."""

from typing import Final

from stoa.catalog.v1 import resource_group_pb2

from tests.wire.catalog import sources
from tests.wire.catalog.actions import Operation, Scene
from tests.wire.catalog.sources import Source
from tests.wire.catalog.test_managed_images import image_request

DISKS: Final = "Microsoft.Compute/disks/write"
GROUP: Final = "Microsoft.Resources/subscriptions/resourceGroups"
Group = resource_group_pb2.ResourceGroup
GROUPS_OF_RESOURCES: Final = (
    Operation(
        "CreateResourceGroup",
        (f"{GROUP}/write",),
        lambda s: {
            "parent": s.subscription,
            "resource_group_id": s.world.id("group"),
            "resource_group": Group(location="eastus"),
        },
    ),
    Operation("GetResourceGroup", (f"{GROUP}/read",), lambda s: {"name": s.group}),
    Operation("ListResourceGroups", (f"{GROUP}/read",), lambda s: {"parent": s.subscription}),
    Operation(
        "UpdateResourceGroup",
        (f"{GROUP}/write",),
        lambda s: {"resource_group": Group(name=s.group, tags={"a": "b"})},
    ),
    Operation("DeleteResourceGroup", (f"{GROUP}/delete",), lambda s: {"name": s.group}),
)


def of_kind(kind: Source, action: str, *linked: str) -> tuple[Operation, ...]:
    """The operations on a kind of source; making one needs what it is made from as well."""

    def made(scene: Scene) -> str:
        return str(kind.create(scene.world, kind.request(scene.world, scene.group)).name)

    return (
        Operation(
            f"Create{kind.method}",
            (f"{action}/write", *linked),
            lambda s: kind.request(s.world, s.group),
        ),
        Operation(f"Get{kind.method}", (f"{action}/read",), lambda s: {"name": made(s)}),
        Operation(f"List{kind.method}s", (f"{action}/read",), lambda s: {"parent": s.group}),
        Operation(f"Delete{kind.method}", (f"{action}/delete",), lambda s: {"name": made(s)}),
    )


OF_SOURCES: Final = (
    *of_kind(sources.MACHINE, "Microsoft.Compute/virtualMachines", DISKS),
    *of_kind(sources.DISK, "Microsoft.Compute/disks"),
    *of_kind(sources.SNAPSHOT, "Microsoft.Compute/snapshots", DISKS),
    *of_kind(sources.ENCRYPTION_SET, "Microsoft.Compute/diskEncryptionSets"),
    *of_kind(sources.STORAGE_ACCOUNT, "Microsoft.Storage/storageAccounts"),
    Operation(
        "CreateManagedImage",
        ("Microsoft.Compute/images/write", DISKS),
        lambda s: image_request(s.world, s.group),
    ),
    *(
        Operation(
            f"{verb}ManagedImage",
            (f"Microsoft.Compute/images/{action}",),
            lambda s: {"name": s.source("managed_image")},
        )
        for verb, action in (("Get", "read"), ("Delete", "delete"))
    ),
    Operation(
        "ListManagedImages", ("Microsoft.Compute/images/read",), lambda s: {"parent": s.group}
    ),
)
