"""Versions: what their definitions lend them, and what a region resolves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, exists, select

from services.catalog.convert.versions import end_of_life_fragment
from services.catalog.domain.version import VersionState
from services.catalog.ports.reading import Resolved
from services.catalog.store import tables
from services.catalog.store.lists import EFFECTIVE_END, VERSIONS
from services.catalog.store.readers import TableReader
from services.catalog.store.tables import (
    deleted_versions,
    image_definitions,
    image_versions,
    version_regions,
)
from services.kernel.db.engine import Database

STATUS_VIEW: Final = "status"
FULL_VIEW: Final = "full"

_d, _v, _r = image_definitions.c, image_versions.c, version_regions.c
_regions = tables.regions
_resolution: Final = (
    select(
        _v.name,
        _v.publish_time,
        EFFECTIVE_END.label("end"),
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
