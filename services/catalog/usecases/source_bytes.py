"""What replication finds where the bytes of a source lie, before anything is made of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from services.catalog.domain import reasons
from services.catalog.domain.disk_source import ByteSource, SourceDisk
from services.catalog.domain.hardware import HostCaching
from services.catalog.domain.region import Region
from services.catalog.ports.sources import Inspection, Sources
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.violations import Violations

# What replication says of bytes, in the words of this contract.
_PROBLEMS: Final = {
    "BLOB_NOT_COMMITTED": reasons.SOURCE_NOT_READY,
    "SOURCE_FORMAT_INVALID": reasons.SOURCE_FORMAT_INVALID,
    "SOURCE_REFERENCE_REFUSED": reasons.SOURCE_FORMAT_INVALID,
}


def inspect(
    disk: str,
    source: ByteSource,
    region: Region | None,
    sources: Sources,
    *,
    violations: Violations,
    shown: str,
    host_caching: HostCaching = HostCaching.NONE,
) -> SourceDisk | None:
    """Answer a disk made of these bytes, None where there are none; note what is wrong.

    `shown` is what the caller calls them.

    Raises:
        Unavailable: the replication service does not answer.
    """
    seen = sources.inspect(source)
    if seen is None:
        return None
    _check(seen, shown, region, violations)
    return SourceDisk(
        disk,
        replace(source, uid=seen.uid, etag=seen.etag),
        seen.size_bytes,
        seen.format,
        seen.root_digest,
        host_caching,
    )


def missing(resource_type: str, missing: Sequence[str], violations: Violations) -> NotFound:
    """Build the error for sources that do not exist.

    Raises:
        InvalidArgument, FailedPrecondition: the request is wrong anyway.
    """
    violations.raise_if_any()
    return NotFound(
        f"{', '.join(missing)} does not exist",
        reason=reasons.SOURCE_NOT_FOUND,
        metadata={"resource": ",".join(missing)},
        resource=ResourceInfo(resource_type, missing[0]),
    )


def elsewhere(shown: str, location: str, region: Region, violations: Violations) -> None:
    """Note that a source is in another region than what is made of it."""
    violations.precondition(
        reasons.SOURCE_LOCATION_MISMATCH,
        shown,
        f"{shown} is in {location}, what is made of it would be in {region.id}",
        reason=reasons.SOURCE_LOCATION_MISMATCH,
        metadata={"resource": shown, "location": location},
    )


def _check(seen: Inspection, shown: str, region: Region | None, violations: Violations) -> None:
    if seen.problem:
        reason = _PROBLEMS.get(seen.problem, reasons.SOURCE_NOT_READY)
        violations.precondition(
            reason,
            shown,
            f"no disk can be made of {shown} as it is",
            reason=reason,
            metadata={"resource": shown, "format": seen.format.value},
        )
    if region is not None and seen.location != region.id:
        elsewhere(shown, seen.location, region, violations)
