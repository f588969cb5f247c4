"""What callers do with image definitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.catalog.domain import features, names, reasons
from services.catalog.domain.definition import Definition, Feature, Identifier, Recommended
from services.catalog.domain.gallery import Gallery, SharingMode
from services.catalog.domain.hardware import (
    Architecture,
    DiskType,
    HyperVGeneration,
    OsState,
    OsType,
    PurchasePlan,
)
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks
from services.kernel.errors import AlreadyExists, ResourceInfo
from services.kernel.ids import new_uid
from services.kernel.names import Name
from services.kernel.violations import Violations

_PATH = "image_definition"


@dataclass(frozen=True, slots=True)
class CreateDefinition:
    """A definition to be made in a gallery; None is what was not given."""

    parent: Name
    id: str
    location: str
    os_type: OsType | None
    os_state: OsState | None
    identifier: Identifier
    hyper_v_generation: HyperVGeneration
    architecture: Architecture
    description: str
    eula: str
    privacy_statement_uri: str
    release_note_uri: str
    end_of_life_time: datetime | None
    recommended: Recommended | None
    disallowed_disk_types: tuple[DiskType, ...]
    purchase_plan: PurchasePlan | None
    features: tuple[Feature, ...]
    tags: Mapping[str, str]


def create(
    command: CreateDefinition,
    context: Context,
    mutation: Mutation[Definition],
    *,
    subscriptions: Subscriptions,
    regions: Regions,
) -> bytes:
    """Create an image definition.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        NotFound: PARENT_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS, LOCATION_CONFLICT or IMAGE_IDENTIFIER_TAKEN.
        Aborted: the gallery is being deleted.
    """
    violations = context.violations
    info = checks.subscription(subscriptions, command.parent.text, violations)
    region = checks.find_region(command.location, f"{_PATH}.location", regions, violations)
    checks.enabled_region(info, region, f"{_PATH}.location", violations)
    canonical = _check_fields(command, context)
    now = context.clock.now()
    name = f"{command.parent.text}/images/{command.id}"

    def work(tx: Tx) -> Definition:
        found = violations.copy()
        gallery = tx.galleries.get(command.parent.key, share=True)
        if info is None or gallery is None:
            raise checks.parent_missing(names.GALLERY_TYPE, command.parent.text, found)
        if region is not None:
            check_gallery(gallery, name, region.id, found)
        features.check_sharing(canonical, gallery.effective_mode, name, found)
        check_plan(command.purchase_plan, gallery, name, found)
        found.raise_if_any()
        checks.not_going(tx, gallery)
        if region is None or command.os_type is None or command.os_state is None:
            raise AssertionError("what is missing is a violation")
        definition = Definition(
            name=f"{gallery.name}/images/{command.id}",
            uid=new_uid(),
            location=region.id,
            create_time=now,
            update_time=now,
            policy_revision=context.access.revision,
            os_type=command.os_type,
            os_state=command.os_state,
            identifier=command.identifier,
            hyper_v_generation=command.hyper_v_generation,
            architecture=command.architecture,
            description=command.description,
            eula=command.eula,
            privacy_statement_uri=command.privacy_statement_uri,
            release_note_uri=command.release_note_uri,
            end_of_life_time=command.end_of_life_time,
            recommended=command.recommended,
            disallowed_disk_types=command.disallowed_disk_types,
            purchase_plan=command.purchase_plan,
            features=canonical,
            tags=command.tags,
        )
        _refuse_taken(tx, definition, gallery)
        tx.definitions.insert(definition)
        return definition

    return mutation.commit(work)


def check_gallery(
    gallery: Gallery,
    resource: str,
    location: str,
    violations: Violations,
    *,
    modes: frozenset[SharingMode] = frozenset({SharingMode.COMMUNITY}),
) -> None:
    """Note a region that differs from the gallery's where that may not be (3.7, 3.8).

    `modes` are those in which it may not: for versions that of direct sharing too.
    """
    if location == gallery.location:
        return
    metadata = {"resource": resource, "location": location}
    mode = gallery.effective_mode
    if mode in modes:
        violations.precondition(
            reasons.SHARING_REGION_MISMATCH,
            resource,
            f"in a gallery of mode {mode.value} it must be in {gallery.location}",
            reason=reasons.SHARING_REGION_MISMATCH,
            metadata=metadata,
        )
    if gallery.soft_delete is not None and gallery.soft_delete.enabled:
        violations.precondition(
            reasons.SOFT_DELETE_REGION_MISMATCH,
            resource,
            f"in a gallery with soft delete it must be in {gallery.location}",
            reason=reasons.SOFT_DELETE_REGION_MISMATCH,
            metadata=metadata,
        )


def check_end_of_life(end: datetime | None, context: Context, violations: Violations) -> None:
    """Note an end of life of a definition that is not in the future (gallery-semantics 3.10)."""
    if end is not None and end <= context.clock.now():
        violations.add(
            f"{_PATH}.end_of_life_time",
            "must be in the future",
            reason=reasons.END_OF_LIFE_PASSED,
        )


def _check_fields(command: CreateDefinition, context: Context) -> tuple[Feature, ...]:
    violations = context.violations
    if command.os_type is None:
        violations.add(f"{_PATH}.os_type", "is required")
    if command.os_state is None:
        violations.add(f"{_PATH}.os_state", "is required")
    for part in ("publisher", "offer", "sku"):
        if not getattr(command.identifier, part):
            violations.add(f"{_PATH}.identifier.{part}", "is required")
    if command.purchase_plan is not None:
        for part in ("name", "publisher", "product"):
            if not getattr(command.purchase_plan, part):
                violations.add(f"{_PATH}.purchase_plan.{part}", "is required")
    check_end_of_life(command.end_of_life_time, context, violations)
    return features.canonical(
        command.features, command.hyper_v_generation, f"{_PATH}.features", violations
    )


def check_plan(
    plan: PurchasePlan | None, gallery: Gallery, name: str, violations: Violations
) -> None:
    """Note a purchase plan in a gallery of mode COMMUNITY (gallery-semantics 3.7)."""
    if plan is not None and gallery.effective_mode is SharingMode.COMMUNITY:
        violations.precondition(
            reasons.SHARING_FORBIDS_PLAN,
            name,
            "an image with a purchase plan cannot be in a gallery of mode COMMUNITY",
            reason=reasons.SHARING_FORBIDS_PLAN,
            metadata={"resource": name},
        )


def _refuse_taken(tx: Tx, definition: Definition, gallery: Gallery) -> None:
    existing = tx.definitions.get(definition.key)
    if existing is not None:
        raise checks.taken(names.DEFINITION_TYPE, definition.location, existing)
    other = tx.definitions.with_identifier(gallery.key, definition.identifier.key)
    if other is not None:
        raise AlreadyExists(
            f"{other.name} has that publisher, offer and SKU",
            reason=reasons.IMAGE_IDENTIFIER_TAKEN,
            metadata={"resource": other.name},
            resource=ResourceInfo(names.DEFINITION_TYPE, other.name),
        )
