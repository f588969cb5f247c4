"""The requests of the model as those of the contract."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import (
    gallery_pb2,
    gallery_service_pb2,
    image_definition_pb2,
    image_definition_service_pb2,
    image_resolution_pb2,
    image_version_pb2,
    image_version_requests_pb2,
    target_region_pb2,
    target_region_requests_pb2,
)
from stoa.type.v1 import os_type_pb2, storage_pb2

from tests.wire.catalog.installation import Stubs
from tests.wire.catalog.model.requests import (
    AddRegions,
    CreateDefinition,
    CreateGallery,
    CreateVersion,
    Delete,
    Feature,
    RemoveRegions,
    Resolve,
    SetCounts,
    SoftDelete,
    Target,
    Undelete,
    UpdateDefinition,
    UpdateGallery,
    UpdateVersion,
)
from tests.wire.catalog.model.rules import Request
from tests.wire.catalog.model.words import Storage, Wait


def message(request: Request, *, etag: str = "", blobs: Iterable[str] = ()) -> Any:
    """The message; new versions are made from the blobs, the first one for the OS disk."""
    match request:
        case CreateGallery():
            return gallery_service_pb2.CreateGalleryRequest(
                parent=request.parent,
                gallery_id=request.id,
                gallery=_gallery(request),
                validate_only=request.validate_only,
            )
        case UpdateGallery():
            gallery = _gallery(request)
            gallery.name, gallery.etag = request.name, etag
            return _masked(gallery_service_pb2.UpdateGalleryRequest(gallery=gallery), request)
        case CreateDefinition():
            return image_definition_service_pb2.CreateImageDefinitionRequest(
                parent=request.parent,
                image_definition_id=request.id,
                image_definition=_definition(request),
                validate_only=request.validate_only,
            )
        case UpdateDefinition():
            changed = image_definition_service_pb2.UpdateImageDefinitionRequest(
                image_definition=_definition(request),
                allow_update_image=request.allow_update_image,
            )
            changed.image_definition.name = request.name
            changed.image_definition.etag = etag
            return _masked(changed, request)
        case CreateVersion():
            return _create_version(request, blobs)
        case UpdateVersion():
            version = _version(request)
            version.name, version.etag = request.name, etag
            return _masked(
                image_version_requests_pb2.UpdateImageVersionRequest(
                    image_version=version, wait_for=_wait(request.wait)
                ),
                request,
            )
        case _:
            return _change(request, etag)


def _change(request: AddRegions | RemoveRegions | SetCounts | Delete | Undelete, etag: str) -> Any:
    if isinstance(request, Delete):
        return _delete(request, etag)
    more: dict[str, Any] = {
        "name": request.name,
        "etag": etag,
        "wait_for": _wait(request.wait),
        "validate_only": request.validate_only,
    }
    match request:
        case AddRegions():
            targets = [_target(one) for one in request.targets]
            return target_region_requests_pb2.AddTargetRegionsRequest(
                target_regions=targets, **more
            )
        case RemoveRegions():
            return target_region_requests_pb2.RemoveTargetRegionsRequest(
                locations=request.locations, **more
            )
        case SetCounts():
            counts = [
                target_region_requests_pb2.RegionalReplicaCount(location=one, replica_count=count)
                for one, count in request.regions
            ]
            return target_region_requests_pb2.SetReplicaCountsRequest(
                replica_count=request.count, regional_replica_counts=counts, **more
            )
        case Undelete():
            return image_version_requests_pb2.UndeleteImageVersionRequest(**more)


def call(stubs: Stubs, request: Request) -> Any:
    """The method that takes the request."""
    if isinstance(request, Delete):
        by_depth = {
            6: stubs.galleries.DeleteGallery,
            8: stubs.definitions.DeleteImageDefinition,
            10: stubs.versions.DeleteImageVersion,
        }
        return by_depth[request.name.count("/") + 1]
    methods: dict[type, Any] = {
        CreateGallery: stubs.galleries.CreateGallery,
        UpdateGallery: stubs.galleries.UpdateGallery,
        CreateDefinition: stubs.definitions.CreateImageDefinition,
        UpdateDefinition: stubs.definitions.UpdateImageDefinition,
        CreateVersion: stubs.versions.CreateImageVersion,
        UpdateVersion: stubs.versions.UpdateImageVersion,
        AddRegions: stubs.versions.AddTargetRegions,
        RemoveRegions: stubs.versions.RemoveTargetRegions,
        SetCounts: stubs.versions.SetReplicaCounts,
        Undelete: stubs.versions.UndeleteImageVersion,
    }
    return methods[type(request)]


def other(message: Any) -> Any:
    """A request that is another one and has the same id."""
    changed = type(message)()
    changed.CopyFrom(message)
    fields = message.DESCRIPTOR.fields_by_name
    if "wait_for" in fields:
        changed.wait_for = message.wait_for % 3 + 1
    elif "gallery" in fields:
        changed.gallery.description += "!"
    elif "image_definition" in fields:
        changed.image_definition.description += "!"
    else:
        changed.etag = '"other"'
    return changed


def resolve(request: Resolve) -> Any:
    found = image_resolution_pb2.ResolveImageVersionRequest(
        image=request.image, location=request.location
    )
    if request.identifier is not None:
        publisher, offer, sku = request.identifier
        found.identifier.publisher = publisher
        found.identifier.offer = offer
        found.identifier.sku = sku
    return found


def _delete(request: Delete, etag: str) -> Any:
    more: dict[str, Any] = {
        "name": request.name,
        "etag": etag,
        "validate_only": request.validate_only,
    }
    if request.name.count("/") == 9:
        return image_version_requests_pb2.DeleteImageVersionRequest(purge=request.purge, **more)
    if request.name.count("/") == 7:
        return image_definition_service_pb2.DeleteImageDefinitionRequest(
            force=request.force, **more
        )
    return gallery_service_pb2.DeleteGalleryRequest(force=request.force, **more)


def _gallery(request: CreateGallery | UpdateGallery) -> gallery_pb2.Gallery:
    made = gallery_pb2.Gallery(
        location=request.location, description=request.description, tags=dict(request.tags)
    )
    if request.soft_delete is not None:
        made.soft_delete_policy.CopyFrom(_policy(request.soft_delete))
    return made


def _policy(sent: SoftDelete) -> gallery_pb2.SoftDeletePolicy:
    made = gallery_pb2.SoftDeletePolicy(enabled=sent.enabled)
    if sent.retention_hours is not None:
        made.retention_duration.seconds = sent.retention_hours * 3600
    if sent.grace_hours is not None:
        made.grace_duration.seconds = sent.grace_hours * 3600
    return made


def _definition(
    request: CreateDefinition | UpdateDefinition,
) -> image_definition_pb2.ImageDefinition:
    made = image_definition_pb2.ImageDefinition(
        location=request.location,
        os_type=os_type_pb2.OsType.Value(f"OS_TYPE_{request.os_type}"),
        description=request.description,
        end_of_life_time=_time(request.end_of_life),
        tags=dict(request.tags),
    )
    if request.sku:
        made.identifier.sku = request.sku
    if isinstance(request, CreateDefinition):
        made.os_state = os_type_pb2.OsState.Value(f"OS_STATE_{request.os_state}")
        made.hyper_v_generation = os_type_pb2.HyperVGeneration.Value(
            f"HYPER_V_GENERATION_{request.generation}"
        )
        made.identifier.publisher = request.publisher
        made.identifier.offer = request.offer
    if request.vcpus is not None:
        made.recommended.vcpus.min, made.recommended.vcpus.max = request.vcpus
    made.features.extend(_feature(one) for one in request.features)
    return made


def _feature(sent: Feature) -> image_definition_pb2.ImageFeature:
    return image_definition_pb2.ImageFeature(name=sent.name, value=sent.value)


def _version(request: CreateVersion | UpdateVersion) -> image_version_pb2.ImageVersion:
    made = image_version_pb2.ImageVersion(
        location=request.location,
        target_regions=[_target(one) for one in request.targets],
        replica_count=request.count,
        exclude_from_latest=request.exclude,
        storage_account_type=_storage(request.storage),
        end_of_life_time=_time(request.end_of_life),
        tags=dict(request.tags),
    )
    if request.guard is not None:
        made.safety_profile.allow_deletion_of_replicated_locations = request.guard
    if request.block is not None:
        made.safety_profile.block_deletion_before_end_of_life = request.block
    return made


def _create_version(request: CreateVersion, blobs: Iterable[str]) -> Any:
    made = image_version_requests_pb2.CreateImageVersionRequest(
        parent=request.parent,
        image_version_id=request.number,
        image_version=_version(request),
        wait_for=_wait(request.wait),
        validate_only=request.validate_only,
    )
    profile = made.image_version.storage_profile
    profile.SetInParent()
    if not request.sourceless:
        first, *others = blobs
        profile.os_disk_image.source.blob = first
        for lun, blob in enumerate(others):
            profile.data_disk_images.add(lun=lun).source.blob = blob
    return made


def _target(sent: Target) -> target_region_pb2.TargetRegion:
    return target_region_pb2.TargetRegion(
        location=sent.location,
        regional_replica_count=sent.count,
        storage_account_type=_storage(sent.storage),
        exclude_from_latest=sent.exclude,
    )


def _masked(made: Any, request: UpdateGallery | UpdateDefinition | UpdateVersion) -> Any:
    made.validate_only = request.validate_only
    if request.mask is not None:
        made.update_mask.SetInParent()
        made.update_mask.paths.extend(request.mask)
    return made


def _storage(sent: Storage) -> storage_pb2.StorageAccountType.ValueType:
    return storage_pb2.StorageAccountType.Value(f"STORAGE_ACCOUNT_TYPE_{sent.name}")


def _wait(sent: Wait) -> image_version_pb2.WaitMode.ValueType:
    return image_version_pb2.WaitMode.Value(f"WAIT_MODE_{sent.name}")


def _time(sent: datetime | None) -> Timestamp | None:
    if sent is None:
        return None
    made = Timestamp()
    made.FromDatetime(sent)
    return made
