"""Image versions and their regions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    bindparam,
    delete,
    exists,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from services.catalog.convert.uefi import fragment as uefi_fragment
from services.catalog.convert.versions import status_fragment
from services.catalog.domain.names import ordered_key, subscription_of
from services.catalog.domain.progress import aggregated, in_order, selectable, usable
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.uefi import UefiSettings
from services.catalog.domain.usage import Metric
from services.catalog.domain.version import Number, Version, VersionState
from services.catalog.store.documents import dump, load
from services.catalog.store.kinds import VERSIONS
from services.catalog.store.resources import CountedStore
from services.catalog.store.tables import (
    deleted_versions,
    disk_encryption_sets,
    image_versions,
    uses,
    version_regions,
)
from services.catalog.store.usage import UsageCounters
from services.kernel.clock import Clock
from services.kernel.db.listing import at_or_below
from services.kernel.errors import AlreadyExists
from services.kernel.names import parent

_v, _r = image_versions.c, version_regions.c
_SETS: Final = disk_encryption_sets.c

_REGIONS: Final = select(_r.document).where(_r.version_uid == bindparam("u"))
_TAKE_REGIONS: Final = (
    delete(version_regions)
    .where(_r.version_uid == bindparam("u"))
    .returning(_r.location, _r.stored_bytes, _r.document)
)
_PUT_REGIONS: Final = insert(version_regions)
_DELETED: Final = select(deleted_versions.c.delete_time).where(
    deleted_versions.c.key == bindparam("k")
)
_NUMBERED: Final = (
    select(_v.name)
    .where(_v.ordered_key >= bindparam("low"), _v.ordered_key < bindparam("high"))
    .order_by(_v.ordered_key)
    .limit(1)
)
_IS_USABLE: Final = select(_r.location).where(
    _r.version_uid == bindparam("u"), _r.location == bindparam("l"), _r.usable
)


class VersionStore(CountedStore[Version]):
    """Image versions in one transaction.

    Replicas and the bytes that they take are counted wherever regions are written.
    """

    def __init__(self, tx: Connection, clock: Clock, counters: UsageCounters) -> None:
        super().__init__(tx, VERSIONS, Metric.IMAGE_VERSIONS, counters)
        self._clock: Final = clock

    def by_uid(self, uid: str, *, lock: bool = False) -> Version | None:
        """Answer a version."""
        statement = VERSIONS.by_uid.with_for_update() if lock else VERSIONS.by_uid
        return self._loaded(self._tx.execute(statement, {"u": uid}).scalar_one_or_none())

    def regions(self, uid: str) -> Sequence[RegionStatus]:
        """Answer the regions of a version: wanted ones in their order, then those removed."""
        found = self._tx.execute(_REGIONS, {"u": uid}).scalars()
        return in_order([load(RegionStatus, document) for document in found])

    def insert(self, resource: Version, *, uefi: UefiSettings | None = None) -> None:
        """Add a version with its UEFI settings; its regions follow by `write`.

        Raises:
            AlreadyExists: the number was taken at the same moment.
        """
        row = VERSIONS.row(resource) | _status(resource, ())
        row["uefi_body"] = b"" if uefi is None else uefi_fragment(uefi)
        try:
            self._tx.execute(VERSIONS.insert, row)
        except IntegrityError as error:
            raise AlreadyExists.of(VERSIONS.kind.resource_type, resource.name) from error
        self.count(subscription_of(resource.key), resource.location, 1)

    def write(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Replace a version together with its regions."""
        values = VERSIONS.row(version) | _status(version, regions)
        self._tx.execute(VERSIONS.update, values | {"k": values["key"]})
        self._replace_regions(version, regions)

    def put_regions(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Replace all regions of a version, and what a Get says of them."""
        statement = update(image_versions).where(_v.uid == version.uid)
        self._tx.execute(statement.values(_status(version, regions)))
        self._replace_regions(version, regions)

    def forget(self, version: Version) -> None:
        """Remove a version with its regions, and remember that it was deleted."""
        self._replace_regions(version, ())
        self.delete(version.key)
        maker = sqlite.insert if self._tx.dialect.name == "sqlite" else postgresql.insert
        values = {"uid": version.uid, "name": version.name, "delete_time": self._clock.now()}
        self._tx.execute(
            maker(deleted_versions)
            .values(key=version.key, **values)
            .on_conflict_do_update(index_elements=["key"], set_=values)
        )

    def deleted(self, key: str) -> datetime | None:
        """Answer when the last version of this name was deleted for good."""
        found: datetime | None = self._tx.execute(_DELETED, {"k": key}).scalar_one_or_none()
        return found

    def soft_deleted(self, scope_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of soft-deleted versions below a scope."""
        statement = (
            select(_v.name)
            .where(
                at_or_below(_v.key, scope_key),
                _v.version_state == VersionState.SOFT_DELETED.value,
            )
            .order_by(_v.key)
            .limit(limit)
        )
        return self._tx.execute(statement).scalars().all()

    def expiring(
        self, now: datetime, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Version]:
        """Answer soft-deleted versions to which something happens by now, by (time, key).

        `after` is the time and the key of the last one of the page before.
        """
        statement = select(_v.document).where(_v.expiry_time <= now)
        if after is not None:
            time, last = literal(after[0], _v.expiry_time.type), literal(after[1], _v.key.type)
            statement = statement.where(tuple_(_v.expiry_time, _v.key) > tuple_(time, last))
        statement = statement.order_by(_v.expiry_time, _v.key).limit(limit)
        return [load(Version, document) for document in self._tx.execute(statement).scalars()]

    def outside(self, gallery_key: str, location: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of versions of a gallery that are in another region."""
        statement = (
            select(_v.name)
            .where(at_or_below(_v.key, gallery_key), _v.location != location)
            .order_by(_v.key)
            .limit(limit)
        )
        return self._tx.execute(statement).scalars().all()

    def numbered(self, definition_key: str, low: Number, high: Number | None) -> str | None:
        """Answer the name of the first version from one number on, below another or any."""
        end = f"{definition_key}/versions0" if high is None else _ordered(definition_key, high)
        parameters = {"low": _ordered(definition_key, low), "high": end}
        found: str | None = self._tx.execute(_NUMBERED, parameters).scalar_one_or_none()
        return found

    def encrypted(self, gallery_key: str, limit: int) -> Sequence[str]:
        """Answer at most `limit` names of versions of a gallery that have encryption sets."""
        sets = exists().where(uses.c.user_key == _v.key, uses.c.used_key == _SETS.key)
        statement = (
            select(_v.name)
            .where(at_or_below(_v.key, gallery_key), sets)
            .order_by(_v.key)
            .limit(limit)
        )
        return self._tx.execute(statement).scalars().all()

    def is_usable(self, uid: str, location: str) -> bool:
        """Whether a version can be used in a region."""
        return self._tx.execute(_IS_USABLE, {"u": uid, "l": location}).first() is not None

    def _replace_regions(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        for location, stored, document in self._tx.execute(_TAKE_REGIONS, {"u": version.uid}):
            self._count_region(version, location, -document.get("good", 0), -stored)
        for one in regions:
            self._count_region(version, one.location, one.good, one.stored_bytes)
        if regions:
            self._tx.execute(_PUT_REGIONS, [_region_row(version, one) for one in regions])

    def _count_region(self, version: Version, location: str, replicas: int, stored: int) -> None:
        subscription = subscription_of(version.key)
        self._counters.add(subscription, location, Metric.REPLICAS.value, replicas)
        self._counters.add(subscription, location, Metric.STORED_BYTES.value, stored)


def _ordered(definition_key: str, number: Number) -> str:
    major, minor, patch = number
    return ordered_key(f"{definition_key}/versions/{major}.{minor}.{patch}")


def _status(version: Version, regions: Sequence[RegionStatus]) -> dict[str, Any]:
    return {
        "aggregated_state": aggregated(regions).value,
        "status_body": status_fragment(version, in_order(regions)),
    }


def _region_row(version: Version, region: RegionStatus) -> dict[str, Any]:
    major, minor, patch = version.number
    return {
        "version_uid": version.uid,
        "location": region.location,
        "version_key": version.key,
        "definition_key": parent(version.key),
        "major": major,
        "minor": minor,
        "patch": patch,
        "usable": usable(version, region),
        "selectable": selectable(version, region),
        "state": region.state.value,
        "stored_bytes": region.stored_bytes,
        "crossed_bytes": region.crossed_bytes,
        "document": dump(region),
    }
