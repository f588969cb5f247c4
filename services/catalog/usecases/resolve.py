"""Which version an image means in a region (gallery-semantics 3.9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.definition import Identifier
from services.catalog.domain.region import Region
from services.catalog.ports.calls import Context, Regions
from services.catalog.ports.reading import Readers, Resolved
from services.catalog.usecases import checks
from services.catalog.usecases.version_delete import missing
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.names import Name, fold, key

READ_ACTION: Final = "Microsoft.Compute/galleries/images/versions/read"
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
    image = command.image
    by_number = names.VERSIONS.matches(image.text)
    if by_number and fold(image.id) == LATEST:
        image, by_number = image.parent(), False
    context.access.require(READ_ACTION, image.text)
    violations = context.violations
    of_gallery = names.GALLERIES.matches(image.text)
    check_identifier(command, of_gallery=of_gallery, context=context)
    region = checks.find_region(command.location, "location", regions, violations)
    violations.raise_if_any()
    if region is None:
        raise AssertionError("a region that is not known is a violation")
    if by_number:
        return _by_number(image, region, readers)
    definition = image.text
    if of_gallery and command.identifier is not None:
        definition = _identified(image, command.identifier, readers)
        context.access.require(READ_ACTION, definition)
    return _latest(definition, region, readers)


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


def _by_number(version: Name, region: Region, readers: Readers) -> Resolution:
    found = readers.versions.usable(version.key, region.id)
    if found is not None:
        return Resolution(found, region.id)
    if not readers.versions.exists(version.key):
        raise missing(version.text, readers.versions.deleted(version.key))
    raise not_in_region(version.text, region.id, readers.versions.usable_locations(version.key))


def _latest(definition: str, region: Region, readers: Readers) -> Resolution:
    found = readers.versions.latest(key(definition), region.id)
    if found is not None:
        return Resolution(found, region.id)
    elsewhere = readers.versions.latest_locations(key(definition))
    if elsewhere:
        raise not_in_region(definition, region.id, elsewhere)
    if not readers.definitions.exists(key(definition)):
        raise NotFound.of(names.DEFINITION_TYPE, definition)
    raise NotFound(
        f"{definition} has no version that latest may mean",
        reason=reasons.NO_LATEST,
        metadata={"resource": definition},
        resource=ResourceInfo(names.DEFINITION_TYPE, definition),
    )


def not_in_region(name: str, location: str, available: Sequence[str]) -> NotFound:
    """Build the error for an image that cannot be used in a region, and where it can."""
    listed = ", ".join(available) or "no region"
    return NotFound(
        f"{name} cannot be used in {location}; it can in {listed}",
        reason=reasons.NOT_IN_REGION,
        metadata={"resource": name, "location": location, "available": ",".join(available)},
    )
