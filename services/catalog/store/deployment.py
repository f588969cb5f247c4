"""Reads of what machines are made from, by one statement each."""

from typing import Any, Final

from sqlalchemy import bindparam, select

from services.catalog.domain.definition import Definition
from services.catalog.domain.deployment import Layout
from services.catalog.domain.managed_image import ManagedImage
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version
from services.catalog.ports.deployment import Current, Deployable
from services.catalog.store.documents import load
from services.catalog.store.tables import (
    image_definitions,
    image_versions,
    managed_images,
    version_regions,
)
from services.kernel.db.engine import Database

_d, _v, _r, _m = image_definitions.c, image_versions.c, version_regions.c, managed_images.c
_deployable: Final = (
    select(_d.document, _v.document, _r.document)
    .select_from(version_regions)
    .join(image_versions, _v.uid == _r.version_uid)
    .join(image_definitions, _d.key == _v.parent_key)
)
_LATEST: Final = (
    _deployable.where(
        _r.definition_key == bindparam("d"), _r.location == bindparam("l"), _r.selectable
    )
    .order_by(_r.major.desc(), _r.minor.desc(), _r.patch.desc())
    .limit(1)
)
_USABLE: Final = _deployable.where(
    _v.key == bindparam("k"), _r.location == bindparam("l"), _r.usable
)
_VERSION: Final = (
    select(_d.document, _v.document)
    .join_from(image_versions, image_definitions, _d.key == _v.parent_key)
    .where(_v.key == bindparam("k"))
)
_MANAGED_IMAGE: Final = select(_m.document).where(_m.key == bindparam("k"))


class DeploymentReader:
    """Fulfils the port `Deployments`."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db

    def latest(self, definition_key: str, location: str) -> Deployable | None:
        """Answer the highest version that `latest` may mean in a region."""
        return _deployed(self._row(_LATEST, {"d": definition_key, "l": location}))

    def usable(self, key: str, location: str) -> Deployable | None:
        """Answer a version where it can be used in a region."""
        return _deployed(self._row(_USABLE, {"k": key, "l": location}))

    def of_version(self, key: str) -> Current | None:
        """Answer what a version is, wherever it can be used."""
        row = self._row(_VERSION, {"k": key})
        if row is None:
            return None
        definition, version = load(Definition, row[0]), load(Version, row[1])
        layout = Layout.of(definition.os_type, definition.hyper_v_generation, version.disks)
        return Current(layout, version.policy_revision)

    def of_managed_image(self, key: str) -> Current | None:
        """Answer what a managed image is."""
        row = self._row(_MANAGED_IMAGE, {"k": key})
        if row is None:
            return None
        image = load(ManagedImage, row[0])
        layout = Layout.of(image.os_type, image.hyper_v_generation, image.disks)
        return Current(layout, image.policy_revision)

    def _row(self, statement: Any, parameters: dict[str, str]) -> Any:
        return self._db.read(lambda c: c.execute(statement, parameters).first())


def _deployed(row: Any) -> Deployable | None:
    if row is None:
        return None
    return Deployable(load(Definition, row[0]), load(Version, row[1]), load(RegionStatus, row[2]))
