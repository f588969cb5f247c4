"""How large the disks of a version may be, and how many versions are made of a source at once."""

from typing import Final

from services.catalog.domain import names, reasons
from services.catalog.domain.disk_source import SourceKind
from services.catalog.domain.usage import UsageLimits
from services.catalog.domain.version import ReplicationMode, Version
from services.catalog.ports.transaction import Tx
from services.catalog.usecases.source_refusals import refuse
from services.kernel.errors import ResourceExhausted
from services.kernel.names import key
from services.kernel.violations import Violations

# Seconds after which one of the unfinished versions may well be done.
_LATER: Final = 30.0


def check_sizes(version: Version, limits: UsageLimits, violations: Violations) -> None:
    """Note the disks that are larger than the replication mode takes (gallery-semantics 3.3)."""
    shallow = version.mode is ReplicationMode.SHALLOW
    limit = limits.shallow_disk_bytes if shallow else limits.full_disk_bytes
    for one in version.disks:
        if one.size_bytes > limit:
            resource = version.source.name if version.source else one.named
            refuse(
                violations,
                reasons.SOURCE_TOO_LARGE,
                resource,
                f"has {one.size_bytes} bytes as disk {one.disk}, at most {limit} are taken",
                size_bytes=str(one.size_bytes),
                maximum_bytes=str(limit),
            )


def check_load(tx: Tx, version: Version, limit: int) -> None:
    """Refuse another version of a source of which so many are unfinished already.

    Blobs and the VHDs of an account are read by replication's own measure.

    Raises:
        ResourceExhausted: SOURCE_THROTTLED.
    """
    whole = version.source
    if whole is not None:
        sources = [(whole.name, key(whole.private or whole.name))]
    else:
        owned = [one for one in version.disks if one.source.kind is SourceKind.BLOB]
        sources = [(one.origin, key(one.origin)) for one in owned if one.origin]
    for name, used in sources:
        users = tx.uses.users(used, limit + 1)
        if sum(names.VERSIONS.matches(one) for one in users) >= limit:
            raise ResourceExhausted(
                f"{limit} versions are being made of {name}",
                reason=reasons.SOURCE_THROTTLED,
                metadata={"resource": name},
                retry_after=_LATER,
            )
