"""The operations, with all the actions that each needs (gallery-semantics 5.1 and 5.4)."""

from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from stoa.catalog.v1 import (
    deployment_check_pb2,
    gallery_pb2,
    image_definition_pb2,
    image_version_pb2,
    sharing_profile_pb2,
    storage_profile_pb2,
    target_region_pb2,
    target_region_requests_pb2,
)

from tests.wire.catalog.actions import Operation, Scene
from tests.wire.catalog.galleries import (
    ADD,
    BLOCK,
    DISABLE,
    ENABLE,
    GROUPS,
    REMOVE,
    RESET,
    UNBLOCK,
    community,
    direct,
)
from tests.wire.catalog.galleries import request as share_request

GALLERY: Final = "Microsoft.Compute/galleries"
SHARE: Final = f"{GALLERY}/share/action"
DEFINITION: Final = f"{GALLERY}/images"
VERSION: Final = f"{DEFINITION}/versions"
DIRECT: Final = "Microsoft.Compute/locations/sharedGalleries"
COMMUNITY: Final = "Microsoft.Compute/locations/communityGalleries"
ACCOUNT: Final = "Microsoft.Storage/storageAccounts"
POLL: Final = "Microsoft.Compute/locations/capsOperations/read"
RIGHTS: Final = {
    "virtual_machine": ("Microsoft.Compute/virtualMachines/write",),
    "disk": ("Microsoft.Compute/disks/write",),
    "snapshot": ("Microsoft.Compute/snapshots/write",),
    "blob": ("Microsoft.Compute/disks/write",),
    "vhd": (f"{ACCOUNT}/write", f"{ACCOUNT}/listKeys/action"),
    "managed_image": ("Microsoft.Compute/images/read",),
    "image_version": (f"{VERSION}/read",),
}
KEPT: Final = gallery_pb2.SoftDeletePolicy(enabled=True, retention_duration=Duration(seconds=86400))
Gallery = gallery_pb2.Gallery
Version = image_version_pb2.ImageVersion


def new_gallery(scene: Scene, **more: Any) -> dict[str, Any]:
    gallery = Gallery(location="eastus", **more)
    return {"parent": scene.group, "gallery_id": scene.world.id("gallery"), "gallery": gallery}


def changed(scene: Scene, **more: Any) -> dict[str, Any]:
    return {"gallery": Gallery(name=scene.gallery, **more)}


def full_gallery(scene: Scene) -> dict[str, Any]:
    assert scene.version.startswith(scene.gallery)
    return {"name": scene.gallery, "force": True}


def full_definition(scene: Scene) -> dict[str, Any]:
    assert scene.version.startswith(scene.definition)
    return {"name": scene.definition, "force": True}


def made_from(kind: str, scene: Scene) -> Any:
    source, profile = scene.source(kind), storage_profile_pb2.StorageProfile()
    if kind in {"virtual_machine", "managed_image", "image_version"}:
        profile.source.CopyFrom(storage_profile_pb2.VersionSource(**{kind: source}))
    else:
        disk = storage_profile_pb2.DiskSource(**{kind: source})
        profile.os_disk_image.source.CopyFrom(disk)
    return scene.world.version_request(scene.definition, "3.0.0", storage_profile=profile)


def of_scale_set(scene: Scene) -> dict[str, Any]:
    kind = deployment_check_pb2.CheckDeploymentRequest.DEPLOYMENT_KIND_UNIFORM_SCALE_SET
    images = {"image": scene.version, "current_image": scene.source("managed_image")}
    return {**images, "location": "eastus", "kind": kind}


GALLERIES: Final = (
    Operation("GetGallery", (f"{GALLERY}/read",), lambda s: {"name": s.gallery}),
    Operation("ListGalleries", (f"{GALLERY}/read",), lambda s: {"parent": s.group}),
    Operation("CreateGallery", (f"{GALLERY}/write",), new_gallery),
    Operation(
        "CreateGallery",
        (f"{GALLERY}/write", SHARE),
        lambda s: new_gallery(s, soft_delete_policy=KEPT),
        "with soft delete",
    ),
    Operation("UpdateGallery", (f"{GALLERY}/write",), lambda s: changed(s, description="New")),
    Operation(
        "UpdateGallery",
        (f"{GALLERY}/write", SHARE),
        lambda s: changed(s, soft_delete_policy=KEPT),
        "with soft delete",
    ),
    Operation(
        "UpdateGallery",
        (f"{GALLERY}/write", SHARE),
        lambda s: changed(s, sharing_profile=sharing_profile_pb2.SharingProfile(mode=GROUPS)),
        "with another mode",
    ),
    Operation("DeleteGallery", (f"{GALLERY}/delete",), lambda s: {"name": s.gallery}),
    Operation(
        "DeleteGallery",
        (f"{GALLERY}/delete", f"{DEFINITION}/delete", f"{VERSION}/delete"),
        full_gallery,
        "by force",
    ),
)
SHARING: Final = tuple(
    Operation("ShareGallery", (SHARE,), fields, case)
    for case, fields in {
        "to add": lambda s: share_request(s.shareable(direct), ADD, s.subscription),
        "to remove": lambda s: share_request(
            s.shareable(direct, (ADD, s.subscription)), REMOVE, s.subscription
        ),
        "to enable": lambda s: share_request(s.shareable(community), ENABLE),
        "to disable": lambda s: share_request(s.shareable(community, (ENABLE,)), DISABLE),
        "to block": lambda s: share_request(s.shareable(community), BLOCK, s.subscription),
        "to unblock": lambda s: share_request(
            s.shareable(community, (BLOCK, s.subscription)), UNBLOCK, s.subscription
        ),
        "to reset": lambda s: share_request(s.shareable(community, (ENABLE,)), RESET),
    }.items()
)
DEFINITIONS: Final = (
    Operation("GetImageDefinition", (f"{DEFINITION}/read",), lambda s: {"name": s.definition}),
    Operation("ListImageDefinitions", (f"{DEFINITION}/read",), lambda s: {"parent": s.gallery}),
    Operation(
        "CreateImageDefinition",
        (f"{DEFINITION}/write",),
        lambda s: s.world.definition_request(s.gallery),
    ),
    Operation(
        "UpdateImageDefinition",
        (f"{DEFINITION}/write",),
        lambda s: {
            "image_definition": image_definition_pb2.ImageDefinition(
                name=s.definition, description="New"
            )
        },
    ),
    Operation("DeleteImageDefinition", (f"{DEFINITION}/delete",), lambda s: {"name": s.definition}),
    Operation(
        "DeleteImageDefinition",
        (f"{DEFINITION}/delete", f"{VERSION}/delete"),
        full_definition,
        "by force",
    ),
)
VERSIONS: Final = (
    Operation("GetImageVersion", (f"{VERSION}/read",), lambda s: {"name": s.version}),
    Operation("ListImageVersions", (f"{VERSION}/read",), lambda s: {"parent": s.definition}),
    Operation(
        "UpdateImageVersion",
        (f"{VERSION}/write",),
        lambda s: {"image_version": Version(name=s.version, exclude_from_latest=True)},
    ),
    Operation(
        "AddTargetRegions",
        (f"{VERSION}/write",),
        lambda s: {
            "name": s.version,
            "target_regions": [target_region_pb2.TargetRegion(location="westus")],
        },
    ),
    Operation(
        "RemoveTargetRegions",
        (f"{VERSION}/write",),
        lambda s: {"name": s.version, "locations": ["eastus2"]},
    ),
    Operation(
        "SetReplicaCounts",
        (f"{VERSION}/write",),
        lambda s: target_region_requests_pb2.SetReplicaCountsRequest(
            name=s.version, replica_count=2
        ),
    ),
    Operation(
        "PlanImageVersion",
        (f"{VERSION}/write",),
        lambda s: {
            "name": s.version,
            "remove_target_regions": target_region_requests_pb2.RemoveTargetRegionsRequest(
                name=s.version, locations=["eastus2"]
            ),
        },
    ),
    Operation("PromoteImageVersion", (f"{VERSION}/write",), lambda s: {"name": s.shallow}),
    Operation("DeleteImageVersion", (f"{VERSION}/delete",), lambda s: {"name": s.version}),
    Operation("UndeleteImageVersion", (f"{VERSION}/write",), lambda s: {"name": s.deleted}),
)
SOURCES: Final = tuple(
    Operation(
        "CreateImageVersion",
        (f"{VERSION}/write", *actions),
        lambda s, kind=kind: made_from(kind, s),  # type: ignore[misc]
        f"of a {kind.replace('_', ' ')}",
    )
    for kind, actions in RIGHTS.items()
)
POLLS: Final = tuple(
    Operation(method, (POLL,), lambda s: {"name": s.operation})
    for method in ("GetOperation", "WaitOperation")
)
VIEWS: Final = (
    Operation("GetSharedGallery", (f"{DIRECT}/read",), lambda s: {"name": s.shared.gallery}),
    Operation(
        "ListSharedGalleries",
        (f"{DIRECT}/read",),
        lambda s: {"parent": f"{s.subscription}/locations/eastus"},
    ),
    Operation(
        "GetSharedGalleryImage", (f"{DIRECT}/images/read",), lambda s: {"name": s.shared.image}
    ),
    Operation(
        "ListSharedGalleryImages",
        (f"{DIRECT}/images/read",),
        lambda s: {"parent": s.shared.gallery},
    ),
    Operation(
        "GetSharedGalleryImageVersion",
        (f"{DIRECT}/images/versions/read",),
        lambda s: {"name": s.shared.version},
    ),
    Operation(
        "ListSharedGalleryImageVersions",
        (f"{DIRECT}/images/versions/read",),
        lambda s: {"parent": s.shared.image},
    ),
)
PUBLIC: Final = (
    *(
        Operation(
            one.method.replace("Shared", "Community"),
            tuple(action.replace(DIRECT, COMMUNITY) for action in one.actions),
            fields,
        )
        for one, fields in zip(
            VIEWS,
            (
                lambda s: {"name": s.public.gallery},
                lambda s: {"parent": f"{s.subscription}/locations/eastus"},
                lambda s: {"name": s.public.image},
                lambda s: {"parent": s.public.gallery},
                lambda s: {"name": s.public.version},
                lambda s: {"parent": s.public.image},
            ),
            strict=True,
        )
    ),
    Operation(
        "SearchCommunityGalleries",
        (f"{COMMUNITY}/read",),
        lambda s: {"parent": f"{s.subscription}/locations/eastus", "query": "x"},
    ),
)
_BY_NAMES: Final = tuple(
    Operation(method, actions, lambda s, at=at: at(s), case)  # type: ignore[misc]
    for method in ("ResolveImageVersion", "CheckDeployment")
    for case, actions, at in (
        (
            "by the real name",
            (f"{VERSION}/read",),
            lambda s: {"image": s.version, "location": "eastus"},
        ),
        ("by a view", (f"{DIRECT}/images/versions/read",), lambda s: {"image": s.shared.version}),
        (
            "by a community view",
            (f"{COMMUNITY}/images/versions/read",),
            lambda s: {"image": s.public.version},
        ),
    )
)
DEPLOYMENTS: Final = (
    *_BY_NAMES,
    Operation(
        "CheckDeployment",
        (f"{VERSION}/read", "Microsoft.Compute/images/read"),
        of_scale_set,
        "of a scale set that has another image",
    ),
)

ALL: Final = (
    *GALLERIES,
    *SHARING,
    *DEFINITIONS,
    *VERSIONS,
    *SOURCES,
    *VIEWS,
    *PUBLIC,
    *DEPLOYMENTS,
)
