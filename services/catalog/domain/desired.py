"""What replication is asked for, and by which right: the content of an outbox message."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.catalog.domain.disk_source import SourceDisk
from services.catalog.domain.hardware import StorageType
from services.catalog.domain.version import ReplicationMode, Version
from services.kernel.names import fold

ENSURE_REPLICAS: Final = "ensure_replicas"
SOFT_DELETE_VERSION: Final = "soft_delete_version"
DELETE_VERSION: Final = "delete_version"
WRITE_ACTION: Final = "Microsoft.Compute/galleries/images/versions/write"
DELETE_ACTION: Final = "Microsoft.Compute/galleries/images/versions/delete"
CATALOG_ITSELF: Final = "workloads/catalog"
"""The subject of what the catalog does by itself; such a grant lowers and ends, no more."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The decision that work is done by, as an operation grant tells of it.

    `subject` is the name of the principal, `others` are those of the same caller in other
    tenants. `demands` are pairs of an action and a scope that has to be held for the work to go
    on: by the one who is of the scope's tenant, else by the subject.
    """

    subject: str
    action: str
    demands: tuple[tuple[str, str], ...]
    decision: str
    revision: int
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WantedRegion:
    """A region of the desired state."""

    location: str
    count: int
    storage_type: StorageType


@dataclass(frozen=True, slots=True)
class Desired:
    """The whole desired state of a version at one generation; no regions: it is withdrawn.

    From `read_end` on it cannot be read, though its replicas are kept; None: never.
    """

    name: str
    uid: str
    tenant: str
    generation: int
    mode: ReplicationMode
    home: str
    disks: tuple[SourceDisk, ...]
    regions: tuple[WantedRegion, ...]
    authority: Authority
    read_end: datetime | None = None


def desired_of(version: Version, authority: Authority) -> Desired:
    """Answer what is wanted of a version at its generation; nothing of one that goes."""
    if version.deleting:
        return Desired(
            name=version.name,
            uid=version.uid,
            tenant=version.tenant,
            generation=version.generation,
            mode=version.mode,
            home=version.location,
            disks=(),
            regions=(),
            authority=authority,
        )
    return Desired(
        name=version.name,
        uid=version.uid,
        tenant=version.tenant,
        generation=version.generation,
        mode=version.mode,
        home=version.location,
        disks=version.disks,
        regions=tuple(
            WantedRegion(one.location, version.count_in(one), version.storage_in(one))
            for one in version.target_regions
        ),
        authority=authority,
        read_end=version.consumption_end_time,
    )


def storage_id(tenant: str) -> str:
    """Answer the opaque id under which a tenant's bytes lie in every store.

    Derived from `tenants/{t}`, so that every service names the same one without asking.
    """
    found = fold(tenant.rpartition("/")[2])
    return hashlib.sha256(f"stoa storage {found}".encode()).hexdigest()[:32]
