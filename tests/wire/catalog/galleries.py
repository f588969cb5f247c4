"""Galleries that are shared, and requests about them."""

from typing import Any

from stoa.catalog.v1 import gallery_service_pb2, gallery_sharing_pb2, sharing_profile_pb2

from tests.wire.catalog.installation import World

Profile = sharing_profile_pb2.SharingProfile
PRIVATE = Profile.SHARING_MODE_PRIVATE
GROUPS = Profile.SHARING_MODE_GROUPS
COMMUNITY = Profile.SHARING_MODE_COMMUNITY
ADD = gallery_sharing_pb2.SHARE_OPERATION_ADD
REMOVE = gallery_sharing_pb2.SHARE_OPERATION_REMOVE
ENABLE = gallery_sharing_pb2.SHARE_OPERATION_ENABLE_COMMUNITY
DISABLE = gallery_sharing_pb2.SHARE_OPERATION_DISABLE_COMMUNITY
BLOCK = gallery_sharing_pb2.SHARE_OPERATION_BLOCK_CONSUMER
UNBLOCK = gallery_sharing_pb2.SHARE_OPERATION_UNBLOCK_CONSUMER
RESET = gallery_sharing_pb2.SHARE_OPERATION_RESET
REPLICAS = gallery_sharing_pb2.SHARING_WAIT_MODE_REPLICAS


def direct(world: World, **more: Any) -> str:
    return world.gallery(sharing_profile=Profile(mode=GROUPS), **more)


def community(world: World, **more: Any) -> str:
    info = sharing_profile_pb2.CommunityGalleryInfo(
        publisher_uri="https://example.org",
        publisher_contact="images@example.org",
        eula="Be kind.",
        public_name_prefix="Golden",
    )
    profile = Profile(mode=COMMUNITY, community_gallery_info=info)
    return world.gallery(sharing_profile=profile, **more)


def request(gallery: str, operation: Any, *consumers: str, **more: Any) -> Any:
    groups = sharing_profile_pb2.SharingGroups(
        subscriptions=[one for one in consumers if one.startswith("sub")],
        tenants=[one for one in consumers if one.startswith("ten")],
    )
    return gallery_sharing_pb2.ShareGalleryRequest(
        name=gallery,
        operation=operation,
        groups=groups if consumers else None,
        wait_for=REPLICAS,
        **more,
    )


def share(world: World, gallery: str, operation: Any, *consumers: str, **more: Any) -> Any:
    return world.owner.galleries.ShareGallery(request(gallery, operation, *consumers, **more))


def get(world: World, name: str) -> Any:
    return world.owner.galleries.GetGallery(gallery_service_pb2.GetGalleryRequest(name=name))
