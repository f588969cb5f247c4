"""Whether what the service shows is what the model remembers."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from stoa.catalog.v1 import image_version_pb2, operation_metadata_pb2, provisioning_state_pb2
from stoa.type.v1 import os_type_pb2, replication_state_pb2, storage_pb2

from tests.wire.catalog.model import deletion, progress
from tests.wire.catalog.model.faults import Answer
from tests.wire.catalog.model.records import Definition, Gallery, Operation, Row, Version
from tests.wire.catalog.model.state import State
from tests.wire.catalog.model.words import RegionState

Differences = Iterator[str]


def refusal(error: Any) -> Answer:
    """What an error of gRPC says."""
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert isinstance(error.code(), grpc.StatusCode)
    return _answer(error.code().name, status)


def _answer(code: str, status: status_pb2.Status) -> Answer:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    failed = error_details_pb2.PreconditionFailure()
    kinds: tuple[Any, ...] = (info, bad, failed)
    for detail in status.details:
        for one in kinds:
            if detail.TypeName() == one.DESCRIPTOR.full_name:
                detail.Unpack(one)
    return Answer(
        code=code,
        reason=info.reason,
        fields=tuple((one.field, one.reason) for one in bad.field_violations),
        states=tuple(one.type for one in failed.violations),
        metadata=tuple(sorted(info.metadata.items())),
    )


def gallery(model: Gallery, found: Any) -> Differences:
    yield from _same("name", model.name, found.name)
    yield from _same("location", model.location, found.location)
    yield from _same("description", model.description, found.description)
    yield from _same("tags", model.tags, dict(found.tags))
    yield from _same("enabled", model.keeps_deleted(), found.soft_delete_policy.enabled)
    policy = model.soft_delete
    if policy is not None and policy.retention_hours is not None:
        hours = found.soft_delete_policy.retention_duration.seconds // 3600
        yield from _same("retention", policy.retention_hours, hours)
    yield from _same("state", "SUCCEEDED", _provisioning(found))
    yield from _stable(model, found)


def definition(model: Definition, found: Any) -> Differences:
    yield from named(model.name, found.name)
    yield from _same("location", model.location, found.location)
    one = found.identifier
    yield from _same("identifier", model.identifier, (one.publisher, one.offer, one.sku))
    yield from _same("os_type", model.os_type, os_type_pb2.OsType.Name(found.os_type)[8:])
    yield from _same("os_state", model.os_state, os_type_pb2.OsState.Name(found.os_state)[9:])
    generation = os_type_pb2.HyperVGeneration.Name(found.hyper_v_generation)[19:]
    yield from _same("generation", model.generation, generation)
    yield from _same("description", model.description, found.description)
    yield from _same("tags", model.tags, dict(found.tags))
    yield from _same("end_of_life", model.end_of_life, _time(found, "end_of_life_time"))
    features = [(one.name, one.value) for one in found.features]
    yield from _same("features", [(one.name, one.value) for one in model.features], features)
    vcpus = (found.recommended.vcpus.min, found.recommended.vcpus.max)
    yield from _same("vcpus", model.vcpus or (0, 0), vcpus)
    yield from _same("state", "SUCCEEDED", _provisioning(found))
    yield from _stable(model, found)


def version(model: Version, state: State, found: Any) -> Differences:
    """A version in the view FULL."""
    parent = state.definition_of(model)
    yield from named(model.name, found.name)
    yield from _same("location", model.location, found.location)
    yield from _same("storage", model.storage.name, _storage(found))
    yield from _same("exclude", model.exclude, found.exclude_from_latest)
    yield from _same("end_of_life", model.end_of_life, _time(found, "end_of_life_time"))
    yield from _same(
        "effective_end_of_life",
        model.end_of_life or parent.end_of_life,
        _time(found, "effective_end_of_life_time"),
    )
    yield from _same("tags", model.tags, dict(found.tags))
    yield from _same("generation", model.generation, found.generation)
    shown = image_version_pb2.ImageVersionState.Name(found.state)[20:]
    yield from _same("state", "SOFT_DELETED" if model.soft_deleted else "ACTIVE", shown)
    yield from _safety(model, found.safety_profile)
    yield from _one_of("provisioning", progress.provisioning(model), _provisioning(found))
    if not model.soft_deleted and not model.deleting:
        yield from _same("replica_count", model.count, found.replica_count)
        yield from _targets(model, found)
    yield from _rows(model, state.now, found.replication_status)
    yield from _deletion(model, found)
    yield from _stable(model, found)


def named(expected: str, found: str) -> Differences:
    """The stored spelling of a name."""
    yield from _same("name", expected, found)


def _safety(model: Version, found: Any) -> Differences:
    field = "allow_deletion_of_replicated_locations"
    guard = getattr(found, field) if found.HasField(field) else None
    yield from _same("guard", model.guard, guard)
    yield from _same("block", model.block, found.block_deletion_before_end_of_life)


def _targets(model: Version, found: Any) -> Differences:
    expected = [
        (one.location, one.count, one.exclude, model.kept_on(one).name) for one in model.targets
    ]
    shown = [
        (
            one.location,
            one.regional_replica_count if one.HasField("regional_replica_count") else None,
            one.exclude_from_latest if one.HasField("exclude_from_latest") else None,
            _storage(one) if one.storage_account_type else model.storage.name,
        )
        for one in found.target_regions
    ]
    yield from _same("target_regions", expected, shown)


def _rows(model: Version, now: datetime, found: Any) -> Differences:
    wanted, going = progress.summary(model)
    order = [one.location for one in found.summary]
    yield from _same("summary", wanted, order[: len(wanted)])
    yield from _same("regions that go", going, set(order[len(wanted) :]))
    for one in found.summary:
        if one.location in model.rows:
            yield from _row(model, now, model.rows[one.location], one)
    aggregated = replication_state_pb2.AggregatedReplicationState.Name(found.aggregated_state)
    yield from _one_of("aggregated_state", progress.aggregate(model), aggregated[29:])


def _row(model: Version, now: datetime, row: Row, found: Any) -> Differences:
    where = row.location
    state = replication_state_pb2.RegionalReplicationState.Name(found.state)[27:]
    yield from _same(f"{where} state", row.state.name, state)
    yield from _same(f"{where} usable", row.usable and not model.expired(now), found.usable)
    yield from _one_of(f"{where} provisioning", progress.regional(model, row), _provisioning(found))
    if row.removed is not None:
        return
    target = model.target(where)
    assert target is not None
    yield from _same(f"{where} wanted", model.wanted(target), found.wanted_replica_count)
    if row.state is not RegionState.PENDING or found.good_replica_count != row.former_good:
        yield from _same(f"{where} good", row.good, found.good_replica_count)
    # While a retry is under way at a generation that had ended, either may be said.
    retried = row.state is RegionState.REPLICATING and found.observed_generation <= row.observed
    if not retried and found.observed_generation != row.former:
        yield from _same(f"{where} observed", row.observed, found.observed_generation)


def _deletion(model: Version, found: Any) -> Differences:
    deleted = _time(found, "delete_time")
    yield from _same("deleted", model.soft_deleted, deleted is not None)
    if model.soft_deleted and deleted is not None and model.purge is None:
        deletion.date(model, deleted)
    consumption_end = _time(found, "consumption_end_time")
    yield from _same("consumption_end_time", model.consumption_end, consumption_end)
    yield from _same("purge_time", model.purge, _time(found, "purge_time"))


def operation(model: Operation, found: Any) -> Differences:
    """An operation that changes a version."""
    metadata = operation_metadata_pb2.ImageVersionOperationMetadata()
    assert found.metadata.Unpack(metadata)
    yield from _same("verb", model.verb, metadata.verb)
    yield from _same("generation", model.generation, metadata.generation)
    if model.cancelling:
        yield from _stopped(model, found)
        return
    if model.outcome is None:
        yield from _same("done", expected=False, found=found.done)
        return
    yield from _same("done", expected=True, found=found.done)
    if not found.done:
        return
    if not model.outcome:
        yield from _same("result", "response", found.WhichOneof("result"))
        return
    codes = {"REGIONS_FAILED": "ABORTED", "CANCELLED": "CANCELLED"}
    answer = _answer(grpc_name(found.error.code), found.error)
    yield from _same("code", codes[model.outcome], answer.code)
    if model.outcome == "REGIONS_FAILED":
        yield from _same("reason", model.outcome, answer.reason)
        named = dict(answer.metadata).get("locations", "").split(",")
        yield from _same("failed regions", sorted(model.failed), sorted(named))


def _stopped(model: Operation, found: Any) -> Differences:
    """One that was cancelled: when it ends before its regions do is left open."""
    if model.outcome is not None:
        yield from _same("done", expected=True, found=found.done)
    won = model.outcome is not None and found.WhichOneof("result") == "response"
    if found.done and not won:
        code = grpc_name(found.error.code)
        if code != "CANCELLED" and model.outcome != "REGIONS_FAILED":
            yield f"code is {code} instead of CANCELLED"


def grpc_name(code: int) -> str:
    return next(one.name for one in grpc.StatusCode if one.value[0] == code)


def wanted(region: Any) -> tuple[int, str]:
    """What replication is asked for in a region: how many replicas, on what."""
    name = storage_pb2.StorageAccountType.Name(region.storage_account_type)
    return region.replica_count, name.removeprefix("STORAGE_ACCOUNT_TYPE_")


def _stable(model: Gallery | Definition | Version, found: Any) -> Differences:
    """A resource keeps its identity; the first reply tells it."""
    model.uid = model.uid or found.uid
    yield from _same("uid", model.uid, found.uid)
    if not found.etag:
        yield "no etag"
    if found.update_time.ToNanoseconds() < found.create_time.ToNanoseconds():
        yield "updated before it was created"


def _same(what: str, expected: object, found: object) -> Differences:
    if expected != found:
        yield f"{what} is {found!r} instead of {expected!r}"


def _one_of(what: str, allowed: Collection[Any], found: str) -> Differences:
    names = sorted(one.name for one in allowed)
    if found not in names:
        yield f"{what} is {found} instead of {' or '.join(names)}"


def _provisioning(found: Any) -> str:
    state = provisioning_state_pb2.ProvisioningState.Name(found.provisioning_state)
    return state.removeprefix("PROVISIONING_STATE_")


def _storage(found: Any) -> str:
    name = storage_pb2.StorageAccountType.Name(found.storage_account_type)
    return name.removeprefix("STORAGE_ACCOUNT_TYPE_")


def _time(found: Any, field: str) -> datetime | None:
    if not found.HasField(field):
        return None
    when: datetime = getattr(found, field).ToDatetime(UTC)
    return when
