"""Galleries and definitions: what is unique besides their names."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, distinct, func, select
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.domain.definition import Definition
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.usage import Metric
from services.catalog.ports.rows import Contents, ExposedDefinition
from services.catalog.store.documents import load
from services.catalog.store.gallery_reader import is_viewed
from services.catalog.store.kinds import DEFINITIONS, GALLERIES
from services.catalog.store.resources import CountedStore
from services.catalog.store.tables import (
    galleries,
    image_definitions,
    public_names,
    regions,
    version_regions,
)
from services.catalog.store.usage import UsageCounters
from services.kernel.names import fold

_NAMED: Final = select(galleries.c.name).where(
    galleries.c.subscription_key == bindparam("s"), galleries.c.gallery_id_key == bindparam("i")
)
_IDENTIFIED: Final = select(image_definitions.c.document).where(
    image_definitions.c.parent_key == bindparam("p"),
    image_definitions.c.identifier_key == bindparam("i"),
)

_d, _r = image_definitions.c, version_regions.c
_USABLE: Final = (_d.parent_key == bindparam("g"), _r.definition_key == _d.key, _r.usable)
_EXPOSED: Final = (
    select(_d.key, _d.name, func.count(distinct(_r.version_uid)))
    .where(*_USABLE)
    .group_by(_d.key, _d.name)
    .order_by(_d.key)
    .limit(bindparam("n"))
)
_LOCATIONS: Final = (
    select(_r.definition_key, _r.location)
    .where(_r.definition_key.in_(bindparam("keys", expanding=True)), _r.usable)
    .distinct()
    .order_by(_r.definition_key, _r.location)
)
_COUNTS: Final = select(func.count(distinct(_d.key)), func.count(distinct(_r.version_uid))).where(
    *_USABLE
)
_PENDING: Final = (
    select(galleries.c.document)
    .where(galleries.c.sharing_pending_since < bindparam("before"))
    .order_by(galleries.c.sharing_pending_since)
    .limit(bindparam("n"))
)


_BELOW: Final = (
    select(image_definitions.c.document)
    .where(image_definitions.c.parent_key == bindparam("p"))
    .order_by(image_definitions.c.key)
)


_VIEWED_IN: Final = select(regions.c.id).where(is_viewed(bindparam("g"))).order_by(regions.c.id)


class GalleryStore(CountedStore[Gallery]):
    """Galleries in one transaction."""

    def __init__(self, tx: Connection, counters: UsageCounters) -> None:
        super().__init__(tx, GALLERIES, Metric.GALLERIES, counters)

    def named(self, subscription_key: str, id_key: str) -> str | None:
        """Answer the name of the gallery that has this id in a subscription."""
        found: str | None = self._tx.execute(
            _NAMED, {"s": subscription_key, "i": id_key}
        ).scalar_one_or_none()
        return found

    def reserve_public_name(self, public_name: str, gallery_uid: str) -> bool:
        """Keep a public name for ever; False where it was given before."""
        maker = sqlite.insert if self._tx.dialect.name == "sqlite" else postgresql.insert
        values = {"public_name_key": fold(public_name), "gallery_uid": gallery_uid}
        added = maker(public_names).values(values).on_conflict_do_nothing()
        # Not the row count: a driver need not tell it of an INSERT.
        return self._tx.execute(added.returning(public_names.c.gallery_uid)).first() is not None

    def contents(self, gallery_key: str, limit: int) -> Contents:
        """Answer what can be used of a gallery somewhere, with at most `limit` definitions."""
        rows = self._tx.execute(_EXPOSED, {"g": gallery_key, "n": limit}).all()
        locations: dict[str, list[str]] = {row[0]: [] for row in rows}
        for found, location in self._tx.execute(_LOCATIONS, {"keys": list(locations)}):
            locations[found].append(location)
        definitions, versions = self._tx.execute(_COUNTS, {"g": gallery_key}).one()
        return Contents(
            [ExposedDefinition(row[1], row[2], tuple(locations[row[0]])) for row in rows],
            definitions,
            versions,
        )

    def view_locations(self, gallery_key: str) -> Sequence[str]:
        """Answer the regions in which something of a gallery can be used, in their order."""
        found: Sequence[str] = self._tx.execute(_VIEWED_IN, {"g": gallery_key}).scalars().all()
        return found

    def pending_shares(self, before: datetime, limit: int) -> Sequence[Gallery]:
        """Answer galleries with a change of sharing that began before a time, oldest first."""
        rows = self._tx.execute(_PENDING, {"before": before, "n": limit}).scalars()
        return [load(Gallery, document) for document in rows]


class DefinitionStore(CountedStore[Definition]):
    """Image definitions in one transaction."""

    def __init__(self, tx: Connection, counters: UsageCounters) -> None:
        super().__init__(tx, DEFINITIONS, Metric.IMAGE_DEFINITIONS, counters)

    def with_identifier(self, gallery_key: str, identifier_key: str) -> Definition | None:
        """Answer the definition of a gallery that has this publisher, offer and SKU."""
        parameters = {"p": gallery_key, "i": identifier_key}
        return self._loaded(self._tx.execute(_IDENTIFIED, parameters).scalar_one_or_none())

    def below(self, gallery_key: str) -> Sequence[Definition]:
        """Answer all definitions of a gallery, in the order of their keys."""
        found = self._tx.execute(_BELOW, {"p": gallery_key}).scalars()
        return [load(Definition, document) for document in found]
