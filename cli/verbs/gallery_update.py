"""`stoa gallery update`: what may be changed of a gallery."""

from datetime import timedelta
from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.catalog.v1 import gallery_pb2 as pb
from stoa.catalog.v1 import gallery_service_pb2 as requests
from stoa.catalog.v1 import sharing_profile_pb2 as sharing
from stoa.catalog.v1.gallery_service_pb2_grpc import GalleryServiceStub

from cli.invocation import current
from cli.verbs import names
from cli.verbs.options import (
    Etag,
    GalleryName,
    ResourceGroup,
    Subscription,
    Tags,
    ValidateOnly,
    pairs,
    something,
)
from cli.verbs.words import value

_SHARING = "sharing_profile"
_TEXTS = f"{_SHARING}.community_gallery_info"


def update(
    *,
    resource_group: ResourceGroup,
    gallery_name: GalleryName,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    permissions: Annotated[
        str, typer.Option(help="Groups or Community, from Private; back by `share reset`.")
    ] = "",
    publisher_uri: Annotated[str | None, typer.Option(help="Community: its page.")] = None,
    publisher_email: Annotated[str | None, typer.Option(help="Community: whom to ask.")] = None,
    eula: Annotated[str | None, typer.Option(help="Community: the terms.")] = None,
    privacy_statement_uri: Annotated[str | None, typer.Option(help="Community: URI.")] = None,
    public_name_prefix: Annotated[
        str | None, typer.Option(help="Community: what the public name begins with.")
    ] = None,
    soft_delete: Annotated[
        bool | None,
        typer.Option("--soft-delete/--no-soft-delete", help="Keep deleted versions for a time."),
    ] = None,
    soft_delete_retention_days: Annotated[
        int | None, typer.Option(min=1, max=365, help="For how long they can be used.")
    ] = None,
    allow_copy: Annotated[
        bool | None,
        typer.Option("--allow-copy/--no-allow-copy", help="Versions may be copied by others."),
    ] = None,
    tags: Tags = None,
    etag: Etag = "",
    validate_only: ValidateOnly = False,
    subscription: Subscription = None,
) -> None:
    """Change a gallery: its texts, soft delete, tags, or from Private to another way to share."""
    gallery = pb.Gallery(name=names.gallery(subscription, resource_group, gallery_name), etag=etag)
    paths: list[str] = []
    if description is not None:
        gallery.description = description
        paths.append("description")
    if permissions:
        modes = sharing.SharingProfile.SharingMode
        gallery.sharing_profile.mode = value(
            modes, "SHARING_MODE_", permissions, option="--permissions"
        )
        paths.append(f"{_SHARING}.mode")
    texts = {
        "publisher_uri": publisher_uri,
        "publisher_contact": publisher_email,
        "eula": eula,
        "privacy_statement_uri": privacy_statement_uri,
        "public_name_prefix": public_name_prefix,
    }
    for field, text in texts.items():
        if text is not None:
            setattr(gallery.sharing_profile.community_gallery_info, field, text)
            paths.append(f"{_TEXTS}.{field}")
    if soft_delete is not None:
        gallery.soft_delete_policy.enabled = soft_delete
        paths.append("soft_delete_policy.enabled")
    if soft_delete_retention_days is not None:
        retention = timedelta(days=soft_delete_retention_days)
        gallery.soft_delete_policy.retention_duration.FromTimedelta(retention)
        paths.append("soft_delete_policy.retention_duration")
    if allow_copy is not None:
        gallery.allow_copy = allow_copy
        paths.append("allow_copy")
    if tags is not None:
        gallery.tags.update(pairs("--tags", tags))
        paths.append("tags")
    request = requests.UpdateGalleryRequest(
        gallery=gallery, update_mask=FieldMask(paths=something(paths)), validate_only=validate_only
    )
    stub = current().connection.stub("catalog", GalleryServiceStub)
    current().output.show(stub.UpdateGallery(request))
