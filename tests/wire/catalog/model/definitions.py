"""Rules of definitions: gallery-semantics 1.2, 3.1, 3.2, 3.5, 3.10; image_definition*.proto."""

import re
from typing import Final

from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Definition, Gallery
from tests.wire.catalog.model.requests import CreateDefinition, Feature, UpdateDefinition
from tests.wire.catalog.model.state import State

_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")
_PART = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9_-]")
_LONGEST: Final = {"publisher": 128, "offer": 64, "sku": 64}
# In their own spelling; the aliases and other spellings are taken too.
_FEATURES: Final = {
    "SecurityType": ("Standard", "TrustedLaunchSupported", "TrustedLaunch"),
    "IsHibernateSupported": ("True", "False"),
    "IsAcceleratedNetworkSupported": ("True", "False"),
    "DiskControllerTypes": ("SCSI", "SCSI, NVMe"),
}
_ALIASES: Final = {"diskcontrollertype": "DiskControllerTypes"}
MUTABLE = frozenset(
    {"description", "tags", "end_of_life_time", "recommended", "features", "release_note_uri"}
)
IMMUTABLE = frozenset({"location", "os_type", "identifier.sku"})


def check_create(state: State, request: CreateDefinition) -> Faults:
    faults = Faults()
    location = place(request.location)
    _check_fields(request, location, faults)
    _check_values(state, request, faults)
    gallery = state.gallery(request.parent)
    if gallery is None:
        faults.add_missing("PARENT_NOT_FOUND")
        return faults
    if gallery.deleting:
        faults.add_conflict("OPERATION_IN_PROGRESS")
    _check_taken(gallery, request, location, faults)
    if location is None:
        faults.doubtful_states.add("SOFT_DELETE_REGION_MISMATCH")
    elif gallery.keeps_deleted() and location != gallery.location:
        faults.states.append("SOFT_DELETE_REGION_MISMATCH")
    return faults


def _check_fields(request: CreateDefinition, location: str | None, faults: Faults) -> None:
    if not _ID.fullmatch(request.id):
        faults.fields["image_definition_id"] = ""
    if location is None:
        path = "image_definition.location"
        faults.fields[path] = "REGION_UNKNOWN" if request.location else ""
    for part, longest in _LONGEST.items():
        value: str = getattr(request, part)
        if len(value) > longest or not _PART.fullmatch(value):
            faults.fields[f"image_definition.identifier.{part}"] = ""
    for required in ("os_type", "os_state"):
        if getattr(request, required) == "UNSPECIFIED":
            faults.fields[f"image_definition.{required}"] = ""


def _check_taken(
    gallery: Gallery, request: CreateDefinition, location: str | None, faults: Faults
) -> None:
    there = gallery.definitions.get(request.id.lower())
    if there is not None:
        same = there.location == location
        faults.add_taken("RESOURCE_EXISTS" if same else "LOCATION_CONFLICT")
    triple = (request.publisher, request.offer, request.sku)
    if any(_key(one.identifier) == _key(triple) for one in gallery.definitions.values()):
        faults.add_taken("IMAGE_IDENTIFIER_TAKEN")


def create(state: State, request: CreateDefinition) -> Definition:
    gallery = state.gallery(request.parent)
    location = place(request.location)
    assert gallery is not None
    assert location is not None
    made = Definition(
        name=f"{gallery.name}/images/{request.id}",
        location=location,
        identifier=(request.publisher, request.offer, request.sku),
        os_type=request.os_type,
        os_state=request.os_state,
        generation="V1" if request.generation == "UNSPECIFIED" else request.generation,
        description=request.description,
        end_of_life=request.end_of_life,
        vcpus=request.vcpus,
        features=tuple(spelled(one) for one in request.features),
        tags=dict(request.tags),
    )
    gallery.definitions[request.id.lower()] = made
    return made


def check_update(state: State, request: UpdateDefinition) -> Faults:
    faults = Faults()
    known = MUTABLE | IMMUTABLE
    if request.mask and any(path not in known and path != "*" for path in request.mask):
        faults.fields["update_mask"] = ""
        # What is to be set cannot be told, and need not be judged.
        faults.doubtful.add("image_definition.end_of_life_time")
    found = state.definition(request.name)
    _check_values(state, request, faults)
    if found is None:
        faults.add_missing("RESOURCE_NOT_FOUND")
        return faults
    if found.deleting or state.gallery_of(found.name).deleting:
        faults.add_conflict("OPERATION_IN_PROGRESS")
    changes = {
        "location": place(request.location) != found.location,
        "os_type": request.os_type != found.os_type,
        "identifier.sku": request.sku.lower() != found.identifier[2].lower(),
    }
    faults.states += [
        "PROPERTY_CHANGE_NOT_ALLOWED" for path in request.mask or () if changes.get(path)
    ]
    features = {spelled(one) for one in request.features}
    if found.generation != "V2" and any(_needs_v2(one) for one in features):
        # The generation is stored: the request alone does not show it.
        faults.states.append("FEATURE_INVALID")
    if "features" in _paths(request) and features != set(found.features):
        if not request.allow_update_image:
            faults.states.append("PROPERTY_CHANGE_NOT_ALLOWED")
            if faults.fields:
                # Features that are none are a change, or are not compared at all.
                faults.doubtful_states.add("PROPERTY_CHANGE_NOT_ALLOWED")
        if found.versions:
            # Which features a version contradicts is left open.
            faults.permitted.add("FEATURE_CONFLICT")
    return faults


def update(state: State, request: UpdateDefinition) -> Definition:
    found = state.definition(request.name)
    assert found is not None
    paths = _paths(request)
    if "description" in paths:
        found.description = request.description
    if "tags" in paths:
        found.tags = dict(request.tags)
    if "end_of_life_time" in paths:
        found.end_of_life = request.end_of_life
    if "recommended" in paths:
        found.vcpus = request.vcpus
    if "features" in paths:
        found.features = tuple(spelled(one) for one in request.features)
    return found


def find(gallery: Gallery, identifier: tuple[str, str, str]) -> Definition | None:
    """The definition of a publisher, offer and SKU, compared without case."""
    return next(
        (one for one in gallery.definitions.values() if _key(one.identifier) == _key(identifier)),
        None,
    )


def spelled(feature: Feature) -> Feature:
    """A feature in its own spelling; as it is where there is no such feature."""
    name = _ALIASES.get(feature.name.lower(), feature.name)
    for known, values in _FEATURES.items():
        if known.lower() == name.lower():
            same = (one for one in values if one.lower() == feature.value.lower())
            return Feature(known, next(same, feature.value))
    return feature


def _check_values(
    state: State, request: CreateDefinition | UpdateDefinition, faults: Faults
) -> None:
    now = state.now
    if request.end_of_life is not None and request.end_of_life <= now:
        faults.fields["image_definition.end_of_life_time"] = "END_OF_LIFE_PASSED"
    if request.vcpus is not None:
        low, high = request.vcpus
        if low > high or high > 80:
            faults.fields["image_definition.recommended.vcpus"] = ""
    seen = set()
    for at, sent in enumerate(request.features):
        feature = spelled(sent)
        path = f"image_definition.features[{at}]"
        if feature.name not in _FEATURES or feature.name in seen:
            faults.fields[f"{path}.name"] = "FEATURE_INVALID"
        elif feature.value not in _FEATURES[feature.name] or (
            _needs_v2(feature)
            and isinstance(request, CreateDefinition)
            and request.generation != "V2"
        ):
            faults.fields[f"{path}.value"] = "FEATURE_INVALID"
        seen.add(feature.name)


def _needs_v2(feature: Feature) -> bool:
    return feature.name == "SecurityType" and feature.value != "Standard"


def _paths(request: UpdateDefinition) -> frozenset[str]:
    if request.mask is None:
        sent = {
            "description": request.description,
            "tags": request.tags,
            "end_of_life_time": request.end_of_life,
            "recommended": request.vcpus,
            "features": request.features,
        }
        return frozenset(path for path, value in sent.items() if value)
    return MUTABLE if "*" in request.mask else frozenset(request.mask)


def _key(identifier: tuple[str, str, str]) -> tuple[str, ...]:
    return tuple(part.lower() for part in identifier)
