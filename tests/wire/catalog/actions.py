"""Operations with the actions that each needs, and people who hold exactly those or all but one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from google.longrunning import operations_pb2
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from stoa.authz.v1 import permission_pb2, role_definition_pb2, role_definition_service_pb2
from stoa.type.v1 import os_type_pb2, storage_pb2

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.deletions import delete, gone, keeping
from tests.wire.catalog.galleries import ADD, ENABLE, community, direct, share
from tests.wire.catalog.installation import Stubs, World
from tests.wire.catalog.sources import DISK, MACHINE, SNAPSHOT
from tests.wire.catalog.test_managed_images import image_request
from tests.wire.catalog.test_rules_sharing_table import View, published, view
from tests.wire.catalog.test_version_sources import vhd

# Where the stubs of a service are, by its name.
SERVICES: Final = {
    "ResourceGroupService": "groups",
    "GalleryService": "galleries",
    "ImageDefinitionService": "definitions",
    "ImageVersionService": "versions",
    "SharedGalleryService": "shared",
    "CommunityGalleryService": "community",
    "ManagedImageService": "images",
    "DiskService": "disks",
    "SnapshotService": "snapshots",
    "VirtualMachineService": "virtual_machines",
    "StorageAccountService": "storage_accounts",
    "DiskEncryptionSetService": "disk_encryption_sets",
}


def of_service(name: str) -> Any:
    """Answer the descriptor of a service of the catalog."""
    return Default().FindServiceByName(f"stoa.catalog.v1.{name}")


_METHODS: Final = {
    method.name: (attribute, GetMessageClass(method.input_type))
    for service, attribute in SERVICES.items()
    for method in of_service(service).methods
} | {
    "GetOperation": ("operations", operations_pb2.GetOperationRequest),
    "WaitOperation": ("operations", operations_pb2.WaitOperationRequest),
}


@dataclass(frozen=True)
class Operation:
    """A call, in a case of it, and all actions that it needs."""

    method: str
    actions: tuple[str, ...]
    fields: Callable[["Scene"], Any]
    case: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.case}".strip()

    def request(self, scene: "Scene") -> Any:
        """Answer the request, of its fields or as it was put together."""
        found = self.fields(scene)
        return _METHODS[self.method][1](**found) if isinstance(found, dict) else found

    def call(self, stubs: Stubs, request: Any) -> Any:
        """Do it."""
        return getattr(getattr(stubs, _METHODS[self.method][0]), self.method)(request)


class Scene:
    """A subscription of its own, in which the owner makes what an operation is about."""

    def __init__(self, world: World, policy: Policy, subscription: str = "") -> None:
        self.world = world
        self.policy = policy
        self.subscription = subscription or policy.subscription()

    def anew(self) -> "Scene":
        """Answer the same subscription, where nothing is made that an operation used up."""
        return Scene(self.world, self.policy, self.subscription)

    def holding(self, *actions: str, minus: tuple[str, ...] = ()) -> Stubs:
        """Answer the calls of somebody who holds so much in the subscription."""
        role = role_definition_pb2.RoleDefinition(
            role_name=self.policy.id("Role "),
            permissions=[permission_pb2.Permission(actions=actions, not_actions=minus)],
            assignable_scopes=[self.subscription],
        )
        made = self.policy.owner.roles.CreateRoleDefinition(
            role_definition_service_pb2.CreateRoleDefinitionRequest(role_definition=role)
        )
        return self.assigned(made.name)

    def assigned(self, *roles: str) -> Stubs:
        """Answer the calls of somebody who has these roles in the subscription."""
        user = self.policy.user()
        for role in roles:
            self.policy.assign(user, role, self.subscription)
        self.world.catalog.catch_up()
        return self.world.catalog.user(user.rpartition("/")[2])

    @cached_property
    def group(self) -> str:
        return self.world.group(parent=self.subscription)

    @cached_property
    def gallery(self) -> str:
        return self.world.gallery(self.group)

    @cached_property
    def definition(self) -> str:
        return self.world.definition(self.gallery)

    @cached_property
    def version(self) -> str:
        return str(self.world.finished(self.definition, regions=("eastus", "eastus2")).name)

    @cached_property
    def shallow(self) -> str:
        """A version whose bytes stay at its source."""
        mode = storage_pb2.REPLICATION_MODE_SHALLOW
        made, _ = self.world.version(self.definition, "8.0.0", replication_mode=mode)
        return str(made.name)

    @cached_property
    def deleted(self) -> str:
        """A version that can be restored."""
        made = self.world.finished(keeping(self.world, group=self.group))
        gone(self.world, delete(self.world, made.name))
        return str(made.name)

    @cached_property
    def operation(self) -> str:
        """An operation of somebody else."""
        return str(self.world.version(self.definition, "7.0.0")[1].name)

    def shareable(self, make: Callable[..., str], *steps: Any) -> str:
        """Make a gallery in the subscription, and share it step by step."""
        gallery = make(self.world, group=self.group)
        for step in steps:
            share(self.world, gallery, *step)
        return gallery

    @cached_property
    def shared(self) -> View:
        """Of a gallery of somebody else."""
        real = published(self.world, direct(self.world))
        share(self.world, real.gallery, ADD, self.subscription)
        return view(self.world, real, self.subscription)

    @cached_property
    def public(self) -> View:
        """Of a community gallery."""
        real = published(self.world, community(self.world))
        share(self.world, real.gallery, ENABLE)
        return view(self.world, real, self.subscription)

    def source(self, kind: str) -> Any:
        """Make something that a version can be made from, in the subscription."""
        world, group = self.world, self.group
        linux = {
            "os_type": os_type_pb2.OS_TYPE_LINUX,
            "os_state": os_type_pb2.OS_STATE_GENERALIZED,
        }
        match kind:
            case "virtual_machine":
                return MACHINE.create(world, MACHINE.request(world, group)).name
            case "managed_image":
                return world.owner.images.CreateManagedImage(image_request(world, group)).name
            case "image_version":
                return self.version
            case "disk":
                return DISK.create(world, DISK.request(world, group, **linux)).name
            case "snapshot":
                return SNAPSHOT.create(world, SNAPSHOT.request(world, group, **linux)).name
            case "vhd":
                return vhd(world, group)
            case _:
                return world.blob(group)
