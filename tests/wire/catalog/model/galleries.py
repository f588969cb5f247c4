"""Rules of galleries: gallery-semantics 1.1, 3.1, 3.2, 3.5, 3.6; gallery_service.proto."""

import re

from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Gallery
from tests.wire.catalog.model.requests import CreateGallery, SoftDelete, UpdateGallery
from tests.wire.catalog.model.state import State, last

_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._]{0,78}[A-Za-z0-9])?")
MUTABLE = frozenset({"description", "tags", "soft_delete_policy"})
IMMUTABLE = frozenset({"location"})


def check_create(state: State, request: CreateGallery) -> Faults:
    faults = Faults()
    if not _ID.fullmatch(request.id):
        faults.fields["gallery_id"] = ""
    _check_texts(request.description, faults)
    location = place(request.location)
    if location is None:
        faults.fields["gallery.location"] = "REGION_UNKNOWN" if request.location else ""
    if request.parent.lower() not in state.groups:
        faults.add_missing("PARENT_NOT_FOUND")
        return faults
    key = request.id.lower()
    for other in state.galleries.values():
        if last(other.name).lower() != key:
            continue
        if other.name.lower() != f"{request.parent}/galleries/{request.id}".lower():
            faults.add_taken("GALLERY_NAME_TAKEN")
        elif other.location == location:
            faults.add_taken("RESOURCE_EXISTS")
        else:
            faults.add_taken("LOCATION_CONFLICT")
    return faults


def create(state: State, request: CreateGallery) -> Gallery:
    location = place(request.location)
    assert location is not None
    group = state.groups[request.parent.lower()]
    made = Gallery(
        name=f"{group}/galleries/{request.id}",
        location=location,
        description=request.description,
        tags=dict(request.tags),
        soft_delete=request.soft_delete,
    )
    state.galleries[made.name.lower()] = made
    return made


def check_update(state: State, request: UpdateGallery) -> Faults:
    faults = Faults()
    _check_texts(request.description, faults)
    known = MUTABLE | IMMUTABLE
    if request.mask and any(path not in known and path != "*" for path in request.mask):
        faults.fields["update_mask"] = ""
    found = state.gallery(request.name)
    if found is None:
        faults.add_missing("RESOURCE_NOT_FOUND")
        return faults
    if found.deleting:
        faults.add_conflict("OPERATION_IN_PROGRESS")
    if request.mask and "location" in request.mask and place(request.location) != found.location:
        faults.states.append("PROPERTY_CHANGE_NOT_ALLOWED")
    if "soft_delete_policy" in _paths(request) and request.soft_delete:
        enabling = request.soft_delete.enabled
        if enabling and any(where != found.location for where in _locations(found)):
            faults.states.append("SOFT_DELETE_REGION_MISMATCH")
    return faults


def update(state: State, request: UpdateGallery) -> Gallery:
    found = state.gallery(request.name)
    assert found is not None
    paths = _paths(request)
    if "description" in paths:
        found.description = request.description
    if "tags" in paths:
        found.tags = dict(request.tags)
    if "soft_delete_policy" in paths:
        found.soft_delete = _policy(found.soft_delete, request)
    return found


def _policy(stored: SoftDelete | None, request: UpdateGallery) -> SoftDelete | None:
    """Without a mask what is set in the policy changes, and the rest of it stays."""
    sent = request.soft_delete
    if request.mask is not None or sent is None or stored is None:
        return sent
    retention, grace = sent.retention_hours, sent.grace_hours
    return SoftDelete(
        enabled=sent.enabled,
        retention_hours=stored.retention_hours if retention is None else retention,
        grace_hours=stored.grace_hours if grace is None else grace,
    )


def _paths(request: UpdateGallery) -> frozenset[str]:
    """No mask: what is set and may change; `*`: everything that may change."""
    if request.mask is None:
        sent = {
            "description": request.description,
            "tags": request.tags,
            "soft_delete_policy": request.soft_delete,
        }
        return frozenset(path for path, value in sent.items() if value)
    return MUTABLE if "*" in request.mask else frozenset(request.mask)


def _locations(gallery: Gallery) -> set[str]:
    """Where the definitions and versions of a gallery are."""
    found = {one.location for one in gallery.definitions.values()}
    return found | {
        version.location
        for definition in gallery.definitions.values()
        for version in definition.versions.values()
    }


def _check_texts(description: str, faults: Faults) -> None:
    if len(description) > 4096:
        faults.fields["gallery.description"] = ""
