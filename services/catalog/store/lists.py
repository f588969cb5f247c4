"""What each kind can be listed by (the comments of the List requests)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, bindparam, exists, func, literal_column, select

from services.catalog.convert.versions import end_of_life_fragment
from services.catalog.domain.names import ordered_key
from services.catalog.domain.region import location_key
from services.catalog.domain.version import VersionState
from services.catalog.ports.reading import Resolved
from services.catalog.store import tables
from services.catalog.store.deployment import DeploymentReader
from services.catalog.store.gallery_reader import GalleryReader
from services.catalog.store.readers import ListSpec, TableReader
from services.catalog.store.tables import (
    deleted_versions,
    image_definitions,
    image_versions,
    version_regions,
)
from services.catalog.store.views import ViewReader
from services.kernel.db.engine import Database
from services.kernel.db.listing import compare
from services.kernel.filter import Comparison, Op
from services.kernel.names import key

STATUS_VIEW: Final = "status"
FULL_VIEW: Final = "full"


_d, _v = image_definitions.c, image_versions.c


def _common(table: Table) -> dict[str, ColumnElement[Any]]:
    t = table.c
    return {
        "provisioning_state": t.state,
        "create_time": t.create_time,
        "update_time": t.update_time,
    }


def _orders(table: Table, *more: str) -> dict[str, ColumnElement[Any]]:
    names = ("create_time", "update_time", "location", *more)
    return {name: table.c[name] for name in names}


def _folded(column: ColumnElement[Any], one: Comparison) -> ColumnElement[bool]:

    return compare(column, Comparison(one.field, one.op, str(one.value).lower()))


def _targeted(one: Comparison) -> ColumnElement[bool]:
    r = version_regions.c
    found = exists().where(
        r.version_uid == _v.uid,
        r.location == location_key(str(one.value)),
        r.state.not_in(("REMOVING", "REMOVED")),
    )
    return ~found if one.op is Op.NE else found


_groups, _galleries, _regions = tables.resource_groups, tables.galleries, tables.regions

GROUPS: Final = ListSpec(_groups, _common(_groups), _orders(_groups), _groups.c.key, depth=2)
GALLERIES: Final = ListSpec(
    _galleries,
    _common(_galleries)
    | {
        "description": _galleries.c.description,
        "sharing_profile.mode": _galleries.c.sharing_mode,
        "soft_delete_policy.enabled": _galleries.c.soft_delete_enabled,
    },
    _orders(_galleries),
    _galleries.c.key,
    depth=3,
)
_identifier: Final = {
    f"identifier.{part}": func.lower(_d[part]) for part in ("publisher", "offer", "sku")
}
DEFINITIONS: Final = ListSpec(
    image_definitions,
    _common(image_definitions)
    | {
        "os_type": _d.os_type,
        "os_state": _d.os_state,
        "hyper_v_generation": _d.hyper_v_generation,
        "architecture": _d.architecture,
        "description": _d.description,
        "end_of_life_time": _d.end_of_life_time,
    },
    _orders(image_definitions, "end_of_life_time") | _identifier,
    _d.key,
    depth=4,
    special={
        field: lambda one, field=field: _folded(_identifier[field], one)  # type: ignore[misc]
        for field in _identifier
    },
)
MANAGED_IMAGES: Final = ListSpec(
    tables.managed_images,
    _common(tables.managed_images)
    | {
        name: tables.managed_images.c[name]
        for name in ("os_type", "os_state", "hyper_v_generation", "architecture")
    },
    _orders(tables.managed_images),
    tables.managed_images.c.key,
    depth=3,
)


def _of_sources(table: Table, *columns: str) -> ListSpec:
    """Answer how sources are listed that can be filtered by these columns."""
    t = table.c
    special = {"blob": _blob_of(table)} if "blob_key" in t else None
    filters = _common(table) | {name: t[name] for name in columns}
    return ListSpec(table, filters, _orders(table), t.key, depth=3, special=special)


def _blob_of(table: Table) -> Callable[[Comparison], ColumnElement[bool]]:
    return lambda one: compare(table.c.blob_key, Comparison(one.field, one.op, key(str(one.value))))


_SYSTEM: Final = ("os_type", "os_state", "hyper_v_generation", "architecture")
VIRTUAL_MACHINES: Final = _of_sources(tables.virtual_machines, *_SYSTEM)
DISKS: Final = _of_sources(tables.disks, "disk_type", *_SYSTEM)
SNAPSHOTS: Final = _of_sources(tables.snapshots, *_SYSTEM)
STORAGE_ACCOUNTS: Final = _of_sources(tables.storage_accounts, "store")
ENCRYPTION_SETS: Final = _of_sources(tables.disk_encryption_sets, "encryption_type")


def _in_state(one: Comparison) -> ColumnElement[bool]:
    found = compare(_v.version_state, one)
    if (one.op, one.value) == (Op.EQ, VersionState.SOFT_DELETED.value):
        # In the very words of the index of these, which holds no others.
        return _v.version_state == literal_column("'SOFT_DELETED'")
    return found


_effective: Final = func.coalesce(
    _v.end_of_life_time, _d.end_of_life_time, type_=_v.create_time.type
)
VERSIONS: Final = ListSpec(
    image_versions,
    _common(image_versions)
    | {
        "replication_mode": _v.mode,
        "storage_account_type": _v.storage_type,
        "exclude_from_latest": _v.exclude_from_latest,
        "publish_time": _v.publish_time,
        "end_of_life_time": _v.end_of_life_time,
        "effective_end_of_life_time": _effective,
        "delete_time": _v.delete_time,
        "purge_time": _v.purge_time,
        "generation": _v.generation,
        "replication_status.aggregated_state": _v.aggregated_state,
    },
    _orders(image_versions, "publish_time", "delete_time")
    | {"effective_end_of_life_time": _effective},
    _v.ordered_key,
    depth=5,
    ordered=ordered_key,
    shown=_v.version_state == VersionState.ACTIVE.value,
    special={"target_regions.location": _targeted, "state": _in_state},
)


_r = version_regions.c
_resolution: Final = (
    select(
        _v.name,
        _v.publish_time,
        _effective.label("end"),
        _v.version_state,
        _v.consumption_end_time,
        _v.policy_revision,
    )
    .select_from(version_regions)
    .join(image_versions, _v.uid == _r.version_uid)
    .join(image_definitions, _d.key == _v.parent_key)
)
_LATEST: Final = (
    _resolution.where(
        _r.definition_key == bindparam("d"), _r.location == bindparam("l"), _r.selectable
    )
    .order_by(_r.major.desc(), _r.minor.desc(), _r.patch.desc())
    .limit(1)
)
_USABLE: Final = _resolution.where(
    _v.key == bindparam("k"), _r.location == bindparam("l"), _r.usable
)
# Region by region: there are few of them, and a definition may have very many versions.
_LATEST_IN: Final = (
    select(_regions.c.id)
    .where(
        exists().where(
            _r.definition_key == bindparam("d"), _r.location == _regions.c.id, _r.selectable
        )
    )
    .order_by(_regions.c.id)
)
_USABLE_IN: Final = (
    select(_r.location)
    .join(image_versions, _v.uid == _r.version_uid)
    .where(_v.key == bindparam("k"), _r.usable)
    .order_by(_r.location)
)
_DELETED: Final = select(deleted_versions.c.delete_time).where(
    deleted_versions.c.key == bindparam("k")
)
_IDENTIFIED: Final = select(_d.name).where(
    _d.parent_key == bindparam("p"), _d.identifier_key == bindparam("i")
)


class VersionReader(TableReader):
    """Versions: what their definitions add, and the views."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, VERSIONS)
        self._latest: Final = db.prepare(_LATEST)
        self._usable: Final = db.prepare(_USABLE)

    def selected(self) -> Select[Any]:
        """Answer the columns; the definition is needed for the end of life that it lends."""
        return select(
            _v.key,
            _v.policy_revision,
            _v.body,
            _v.status_body,
            _v.uefi_body,
            _v.end_of_life_time,
            _d.end_of_life_time.label("lent"),
        ).join_from(image_versions, image_definitions, _d.key == _v.parent_key)

    def body(self, row: Any, view: str) -> bytes:
        """Answer the message of a row: serialized messages are joined by writing them on."""
        found: bytes = row[2]
        own: datetime | None = row[5]
        lent: datetime | None = row[6]
        if own is None and lent is not None:
            found += end_of_life_fragment(lent)
        if view in {STATUS_VIEW, FULL_VIEW}:
            found += row[3]
        if view == FULL_VIEW:
            found += row[4]
        return found

    def latest(self, definition_key: str, location: str) -> Resolved | None:
        """Answer the highest version that `latest` may mean in a region, by one statement."""
        row = self._db.first(self._latest, {"d": definition_key, "l": location})
        return None if row is None else _resolved(row)

    def usable(self, key: str, location: str) -> Resolved | None:
        """Answer a version where it can be used in a region, by one statement."""
        row = self._db.first(self._usable, {"k": key, "l": location})
        return None if row is None else _resolved(row)

    def latest_locations(self, definition_key: str) -> Sequence[str]:
        """Answer the regions in which `latest` means some version, in the order of their ids."""
        parameters = {"d": definition_key}
        return self._db.read(lambda c: c.execute(_LATEST_IN, parameters).scalars().all())

    def usable_locations(self, key: str) -> Sequence[str]:
        """Answer the regions in which a version can be used, in the order of their ids."""
        return self._db.read(lambda c: c.execute(_USABLE_IN, {"k": key}).scalars().all())

    def deleted(self, key: str) -> datetime | None:
        """Answer when the last version of this name was deleted for good."""
        found: datetime | None = self._db.read(
            lambda c: c.execute(_DELETED, {"k": key}).scalar_one_or_none()
        )
        return found


class DefinitionReader(TableReader):
    """Definitions, by what they are found by."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, DEFINITIONS)

    def with_identifier(self, gallery_key: str, identifier_key: str) -> str | None:
        """Answer the name of the definition that has this publisher, offer and SKU."""
        parameters = {"p": gallery_key, "i": identifier_key}
        found: str | None = self._db.read(
            lambda c: c.execute(_IDENTIFIED, parameters).scalar_one_or_none()
        )
        return found


def _resolved(row: Sequence[Any]) -> Resolved:
    name, publish_time, end, state, consumption_end_time, policy_revision = row
    return Resolved(
        name=name,
        publish_time=publish_time,
        end_of_life_time=end,
        state=VersionState(state),
        consumption_end_time=consumption_end_time,
        policy_revision=policy_revision,
    )


@dataclass(frozen=True, slots=True)
class StoreReaders:
    """The readers of one process."""

    groups: TableReader
    galleries: TableReader
    definitions: DefinitionReader
    versions: VersionReader
    managed_images: TableReader
    virtual_machines: TableReader
    disks: TableReader
    snapshots: TableReader
    storage_accounts: TableReader
    encryption_sets: TableReader
    views: ViewReader
    deployments: DeploymentReader

    @staticmethod
    def of(db: Database) -> "StoreReaders":
        """Build the readers of a database."""
        return StoreReaders(
            TableReader(db, GROUPS),
            GalleryReader(db, GALLERIES),
            DefinitionReader(db),
            VersionReader(db),
            TableReader(db, MANAGED_IMAGES),
            TableReader(db, VIRTUAL_MACHINES),
            TableReader(db, DISKS),
            TableReader(db, SNAPSHOTS),
            TableReader(db, STORAGE_ACCOUNTS),
            TableReader(db, ENCRYPTION_SETS),
            ViewReader(db),
            DeploymentReader(db),
        )
