"""The metadata of operations that change a version, as they are stored and brought up to date."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from google.protobuf.any_pb2 import Any as AnyMessage
from stoa.catalog.v1 import operation_metadata_pb2 as pb

from services.catalog.convert.operations import packed
from services.catalog.convert.replication_status import encode_region
from services.catalog.convert.versions import WAIT_MODES
from services.catalog.domain.progress import change_percent, usable
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version
from services.catalog.ports.operations import VersionChange

Metadata = pb.ImageVersionOperationMetadata


def began(
    change: VersionChange,
    version: Version,
    waited: Sequence[RegionStatus],
    *,
    create_time: datetime,
    done: bool,
) -> bytes:
    """Answer the metadata of a change that begins; one that is `done` ends at once."""
    message = Metadata(
        target=version.name,
        verb=change.verb,
        generation=change.generation,
        wait_for=WAIT_MODES.number(change.wait_for),
    )
    message.create_time.FromDatetime(create_time)
    _tell(message, change, version, waited)
    if done:
        message.progress_percent = 100
        message.status_message = "done"
        message.end_time.FromDatetime(create_time)
    else:
        message.status_message = _waiting(waited)
    return packed(message)


def advanced(
    metadata: bytes,
    change: VersionChange,
    version: Version,
    waited: Sequence[RegionStatus],
    *,
    due: Sequence[RegionStatus],
    now: datetime,
) -> bytes:
    """Answer the metadata when the regions are as they are now; it ends when none is `due`."""
    message = _read(metadata)
    _tell(message, change, version, waited)
    if due:
        message.status_message = _waiting(due, cancelling=message.cancel_requested)
        return packed(message)
    failed = [one for one in waited if one.state.failed]
    if not failed:
        message.progress_percent = 100
    message.status_message = f"not done in {_names(failed)}" if failed else "done"
    message.end_time.FromDatetime(now)
    return packed(message)


def cancelling(metadata: bytes) -> bytes:
    """Answer the metadata when someone asked to cancel the operation."""
    message = _read(metadata)
    message.cancel_requested = True
    message.status_message = f"cancelling; {message.status_message}"
    return packed(message)


def ended(metadata: bytes, status_message: str, now: datetime) -> bytes:
    """Answer the metadata of an operation that something else ends."""
    message = _read(metadata)
    message.status_message = status_message
    message.end_time.FromDatetime(now)
    return packed(message)


def _tell(
    message: Metadata, change: VersionChange, version: Version, waited: Sequence[RegionStatus]
) -> None:
    """Fill in how far the regions are; the percentage never goes down."""
    del message.regions[:]
    message.regions.extend(
        encode_region(replace(one, usable=usable(version, one))) for one in waited
    )
    percent = change_percent(waited, change.generation)
    message.progress_percent = max(message.progress_percent, percent)
    own = [one.replication for one in waited if one.generation == change.generation]
    message.replication = next(filter(None, own), message.replication)


def _waiting(due: Sequence[RegionStatus], *, cancelling: bool = False) -> str:
    waiting = f"waiting for {_names(due)}"
    return f"cancelling; {waiting}" if cancelling else waiting


def _names(regions: Sequence[RegionStatus]) -> str:
    return ", ".join(one.location for one in regions)


def _read(metadata: bytes) -> Metadata:
    message = Metadata()
    AnyMessage.FromString(metadata).Unpack(message)
    return message
