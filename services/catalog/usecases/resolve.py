"""Which version an image means in a region (gallery-semantics 3.9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from services.catalog.domain import names, reasons
from services.catalog.domain.definition import Identifier
from services.catalog.domain.region import Region
from services.catalog.ports.calls import Context, Regions
from services.catalog.ports.reading import Lookup, Readers, Resolved
from services.catalog.usecases import checks
from services.catalog.usecases.version_delete import missing
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.names import Name, fold

T = TypeVar("T")

READ_ACTION: Final = "Microsoft.Compute/galleries/images/versions/read"
SHARED_READ_ACTION: Final = "Microsoft.Compute/locations/sharedGalleries/images/versions/read"
COMMUNITY_READ_ACTION: Final = "Microsoft.Compute/locations/communityGalleries/images/versions/read"
LATEST: Final = "latest"


@dataclass(frozen=True, slots=True)
class Resolve:
    """An image by a private name, and the region that it is wanted in."""

    image: Name
    identifier: Identifier | None
    location: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """The exact version, and the region."""

    version: Resolved
    location: str


def resolve(
    command: Resolve, context: Context, *, readers: Readers, regions: Regions
) -> Resolution:
    """Answer the exact version of an image in a region.

    Raises:
        PermissionDenied: the right to read versions is missing.
        InvalidArgument: everything that is wrong with the request.
        NotFound: IMAGE_IDENTIFIER_NOT_FOUND, NO_LATEST, NOT_IN_REGION, VERSION_DELETED or
            RESOURCE_NOT_FOUND.
    """
    image = meant(command.image)
    context.access.require(READ_ACTION, image.text)
    of_gallery = names.GALLERIES.matches(image.text)
    check_identifier(command, of_gallery=of_gallery, context=context)
    region = known_region(command.location, context, regions)
    if of_gallery and command.identifier is not None:
        image = names.DEFINITIONS.parse(_identified(image, command.identifier, readers))
        context.access.require(READ_ACTION, image.text)
    return Resolution(find(image, region, readers.versions, readers), region.id)


def read_action(image: Name) -> str:
    """Answer the action that reading the versions of an image needs, by the kind of its name."""
    if "shared_gallery" in image.ids:
        return SHARED_READ_ACTION
    return COMMUNITY_READ_ACTION if "community_gallery" in image.ids else READ_ACTION


def meant(image: Name) -> Name:
    """Answer the definition where the version `latest` of it is named, else the same name."""
    if "version" in image.ids and fold(image.id) == LATEST:
        return image.parent()
    return image


def known_region(location: str, context: Context, regions: Regions) -> Region:
    """Answer the region of a request.

    Raises:
        InvalidArgument: everything that is wrong with the request.
    """
    region = checks.find_region(location, "location", regions, context.violations)
    context.violations.raise_if_any()
    if region is None:
        raise AssertionError("a region that is not known is a violation")
    return region


def check_identifier(command: Resolve, *, of_gallery: bool, context: Context) -> None:
    """Note an identifier that is missing, incomplete or not for this kind of name."""
    violations = context.violations
    if of_gallery and command.identifier is None:
        violations.add("identifier", "is required where the image is a gallery")
    elif of_gallery and command.identifier is not None:
        for part in ("publisher", "offer", "sku"):
            if not getattr(command.identifier, part):
                violations.add(f"identifier.{part}", "is required")
    elif command.identifier is not None:
        violations.add("identifier", "is only for a gallery: the image is named already")


def find(image: Name, region: Region, lookup: Lookup[T], readers: Readers) -> T:
    """Answer what `lookup` knows of the version that a definition or a version means.

    Raises:
        NotFound: NO_LATEST, NOT_IN_REGION, VERSION_DELETED or RESOURCE_NOT_FOUND.
    """
    if "version" in image.ids:
        return _by_number(image, region, lookup, readers)
    return _latest(image, region, lookup, readers)


def _identified(gallery: Name, identifier: Identifier, readers: Readers) -> str:
    found = readers.definitions.with_identifier(gallery.key, identifier.key)
    if found is not None:
        return found
    if not readers.galleries.exists(gallery.key):
        raise NotFound.of(names.GALLERY_TYPE, gallery.text)
    raise NotFound(
        f"{gallery.text} has no image of that publisher, offer and SKU",
        reason=reasons.IMAGE_IDENTIFIER_NOT_FOUND,
        metadata={
            "publisher": identifier.publisher,
            "offer": identifier.offer,
            "sku": identifier.sku,
        },
    )


def _by_number(version: Name, region: Region, lookup: Lookup[T], readers: Readers) -> T:
    found = lookup.usable(version.key, region.id)
    if found is not None:
        return found
    if not readers.versions.exists(version.key):
        raise missing(version.text, readers.versions.deleted(version.key))
    raise not_in_region(version.text, region.id, readers.versions.usable_locations(version.key))


def _latest(definition: Name, region: Region, lookup: Lookup[T], readers: Readers) -> T:
    found = lookup.latest(definition.key, region.id)
    if found is not None:
        return found
    elsewhere = readers.versions.latest_locations(definition.key)
    if elsewhere:
        raise not_in_region(definition.text, region.id, elsewhere)
    if not readers.definitions.exists(definition.key):
        raise NotFound.of(names.DEFINITION_TYPE, definition.text)
    raise NotFound(
        f"{definition.text} has no version that latest may mean",
        reason=reasons.NO_LATEST,
        metadata={"resource": definition.text},
        resource=ResourceInfo(names.DEFINITION_TYPE, definition.text),
    )


def not_in_region(name: str, location: str, available: Sequence[str]) -> NotFound:
    """Build the error for an image that cannot be used in a region, and where it can."""
    listed = ", ".join(available) or "no region"
    return NotFound(
        f"{name} cannot be used in {location}; it can in {listed}",
        reason=reasons.NOT_IN_REGION,
        metadata={"resource": name, "location": location, "available": ",".join(available)},
    )
