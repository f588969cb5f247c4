"""What each kind can be listed by (the comments of the List requests)."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, exists, func, literal_column

from services.catalog.domain.names import ordered_key
from services.catalog.domain.region import location_key
from services.catalog.domain.version import VersionState
from services.catalog.store import tables
from services.catalog.store.readers import ListSpec
from services.catalog.store.tables import (
    image_definitions,
    image_versions,
    version_regions,
)
from services.kernel.db.listing import compare
from services.kernel.filter import Comparison, Op
from services.kernel.names import key

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


EFFECTIVE_END: Final = func.coalesce(
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
        "effective_end_of_life_time": EFFECTIVE_END,
        "delete_time": _v.delete_time,
        "purge_time": _v.purge_time,
        "generation": _v.generation,
        "replication_status.aggregated_state": _v.aggregated_state,
    },
    _orders(image_versions, "publish_time", "delete_time")
    | {"effective_end_of_life_time": EFFECTIVE_END},
    _v.ordered_key,
    depth=5,
    ordered=ordered_key,
    shown=_v.version_state == VersionState.ACTIVE.value,
    special={"target_regions.location": _targeted, "state": _in_state},
)
