"""What callers do with galleries, but for sharing them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.gallery import (
    CommunityTexts,
    Gallery,
    Sharing,
    SharingMode,
    SoftDeletePolicy,
)
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.rows import ShownGallery
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks
from services.kernel.errors import AlreadyExists, ResourceInfo
from services.kernel.ids import new_uid
from services.kernel.names import Name, fold
from services.kernel.violations import Violations

SHARE_ACTION: Final = "Microsoft.Compute/galleries/share/action"


@dataclass(frozen=True, slots=True)
class CreateGallery:
    """A gallery to be made in a resource group."""

    parent: Name
    id: str
    location: str
    description: str
    allow_copy: bool
    soft_delete: SoftDeletePolicy | None
    mode: SharingMode
    texts: CommunityTexts | None
    tags: Mapping[str, str]


def create(
    command: CreateGallery,
    context: Context,
    mutation: Mutation[ShownGallery],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
) -> bytes:
    """Create a gallery, shared with nobody yet.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        PermissionDenied: soft delete needs `galleries/share/action` too.
        NotFound: PARENT_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS, LOCATION_CONFLICT or GALLERY_NAME_TAKEN.
        Aborted: the group is being deleted.
    """
    if command.soft_delete is not None and command.soft_delete.enabled:
        context.access.require(SHARE_ACTION, command.parent.text)
    violations = context.violations
    info = checks.subscription(subscriptions, command.parent.text, violations)
    region = checks.find_region(command.location, "gallery.location", regions, violations)
    checks.enabled_region(info, region, "gallery.location", violations)
    check_texts(command.mode, command.texts, violations)
    now = context.clock.now()
    uid = new_uid()
    sharing = Sharing(mode=command.mode, texts=command.texts or CommunityTexts())
    if command.mode is SharingMode.COMMUNITY:
        sharing = replace(sharing, public_name=new_public_name(sharing.texts))
    gallery = Gallery(
        name=f"{command.parent.text}/galleries/{command.id}",
        uid=uid,
        location=region.id if region else "",
        create_time=now,
        update_time=now,
        policy_revision=context.access.revision,
        shared_id=new_shared_id(),
        description=command.description,
        allow_copy=command.allow_copy,
        soft_delete=command.soft_delete,
        sharing=sharing,
        tags=command.tags,
    )

    def work(tx: Tx) -> ShownGallery:
        found = violations.copy()
        group = tx.groups.get(command.parent.key, share=True)
        if info is None or group is None:
            raise checks.parent_missing(names.RESOURCE_GROUP_TYPE, command.parent.text, found)
        found.raise_if_any()
        checks.not_going(tx, group)
        named = replace(gallery, name=f"{group.name}/galleries/{command.id}")
        _refuse_taken(tx, named)
        if sharing.public_name:
            tx.galleries.reserve_public_name(sharing.public_name, uid)
        tx.galleries.insert(named)
        return ShownGallery(named)

    return mutation.commit(work)


def check_texts(mode: SharingMode, texts: CommunityTexts | None, violations: Violations) -> None:
    """Note texts that mode COMMUNITY lacks, or that another mode has (gallery-semantics 1.1)."""
    path = "gallery.sharing_profile.community_gallery_info"
    if mode is not SharingMode.COMMUNITY:
        if texts is not None:
            violations.add(
                path,
                "is for mode COMMUNITY alone",
                reason=reasons.COMMUNITY_INFO_INCOMPLETE,
            )
        return
    for field in ("publisher_uri", "publisher_contact", "eula", "public_name_prefix"):
        if texts is None or not getattr(texts, field):
            violations.add(
                f"{path}.{field}",
                "is required in mode COMMUNITY",
                reason=reasons.COMMUNITY_INFO_INCOMPLETE,
            )


def new_shared_id() -> str:
    """Make the id of a direct-shared view: it tells nothing, and nobody guesses it."""
    return new_uid()


def new_public_name(texts: CommunityTexts) -> str:
    """Make a public name: the prefix and a UUID."""
    uid = new_uid()
    parts = (uid[:8], uid[8:12], uid[12:16], uid[16:20], uid[20:])
    return f"{texts.public_name_prefix}-{'-'.join(parts)}"


def _refuse_taken(tx: Tx, gallery: Gallery) -> None:
    existing = tx.galleries.get(gallery.key)
    if existing is not None:
        raise checks.taken(names.GALLERY_TYPE, gallery.location, existing)
    subscription_key = names.subscription_of(gallery.key)
    other = tx.galleries.named(subscription_key, fold(gallery.name.rpartition("/")[2]))
    if other is not None:
        raise AlreadyExists(
            "another resource group of the subscription has a gallery of that name",
            reason=reasons.GALLERY_NAME_TAKEN,
            # Not its name: the caller may not be allowed to know that group.
            metadata={"resource": gallery.name},
            resource=ResourceInfo(names.GALLERY_TYPE, gallery.name),
        )
