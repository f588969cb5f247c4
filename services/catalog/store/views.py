"""Reads for views: what of some galleries can be used in a region, by one statement.

Nothing private orders a page, as its token tells the positions: galleries are ordered by the id
of the view, images by their own ids.
"""

import operator
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    exists,
    func,
    literal,
    null,
    select,
    true,
    type_coerce,
)

from services.catalog.domain.definition import Definition
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version, VersionState
from services.catalog.ports.views import (
    DefinitionView,
    GalleryView,
    Sought,
    VersionView,
    ViewId,
    ViewQuery,
)
from services.catalog.store.documents import load
from services.catalog.store.json_columns import document_text, listed
from services.catalog.store.readers import NEVER, restored, stored
from services.catalog.store.tables import (
    galleries,
    image_definitions,
    image_versions,
    regions,
    version_regions,
)
from services.kernel.db.engine import Database
from services.kernel.db.listing import after, compare, conditions
from services.kernel.db.tables import KeyText
from services.kernel.filter import Comparison

_g, _d, _v, _r = galleries.c, image_definitions.c, image_versions.c, version_regions.c
_VIEW_IDS: Final = {ViewId.SHARED: _g.shared_id, ViewId.PUBLIC: _g.public_name_key}
_IMAGE_ID: Final = type_coerce(func.substr(_d.key, func.length(_g.key) + 9), KeyText)
"""What follows `{gallery}/images/`."""
_NAME: Final = "name"
_PUBLISHER: Final = (
    ("sharing", "texts", "publisher_uri"),
    ("sharing", "texts", "publisher_contact"),
)
_IDENTIFIER: Final = {
    f"identifier.{part}": func.lower(_d[part]) for part in ("publisher", "offer", "sku")
}
_STATED: Final = {
    name: _d[name] for name in ("os_type", "os_state", "hyper_v_generation", "architecture")
}


def _folded(one: Comparison) -> ColumnElement[bool]:
    found = replace(one, value=str(one.value).lower())
    return compare(_IDENTIFIER[one.field], found)


_FOLDED: Final = dict.fromkeys(_IDENTIFIER, _folded)


class ViewReader:
    """Reads what can be used of galleries."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db

    def galleries(self, query: ViewQuery) -> Sequence[GalleryView]:
        """Answer at most `query.limit` galleries, for each region in which one can be used."""
        by_name = (_VIEW_IDS[query.id], regions.c.id)
        columns = [
            column
            for order in query.order
            for column in (by_name if order.field == _NAME else (regions.c.id,))
        ]
        descending = [
            order.descending
            for order in query.order
            for _ in (by_name if order.field == _NAME else (regions.c.id,))
        ]
        columns += by_name
        descending += [descending[-1] if descending else False] * len(by_name)
        statement = (
            select(_g.uid, _g.document, regions.c.id)
            .add_columns(*columns)
            .join_from(galleries, regions, true())
            .where(
                exists().where(
                    _d.parent_key == _g.key,
                    _r.definition_key == _d.key,
                    _r.location == regions.c.id,
                    _r.usable,
                ),
                *self._chosen(query),
                *_in_region(regions.c.id, query.location),
            )
        )
        known: dict[str, Gallery] = {}
        return [
            GalleryView(_gallery(row, known), row[2], _position(row, 3))
            for row in self._rows(_paged(statement, query, columns, descending))
        ]

    def definitions(self, query: ViewQuery) -> Sequence[DefinitionView]:
        """Answer at most `query.limit` definitions."""
        columns, descending = _order(query, regions.c.id, {})
        statement = (
            select(_g.uid, _g.document, _d.document, regions.c.id, _d.policy_revision)
            .add_columns(*columns)
            .join_from(galleries, image_definitions, _d.parent_key == _g.key)
            .join(regions, true())
            .where(
                exists().where(_r.definition_key == _d.key, _r.location == regions.c.id, _r.usable),
                *self._chosen(query),
                *self._sought(query.sought),
                *_in_region(regions.c.id, query.location),
            )
        )
        known: dict[str, Gallery] = {}
        return [
            DefinitionView(
                _gallery(row, known), load(Definition, row[2]), row[3], row[4], _position(row, 5)
            )
            for row in self._rows(_paged(statement, query, columns, descending))
        ]

    def versions(self, query: ViewQuery) -> Sequence[VersionView]:
        """Answer at most `query.limit` versions."""
        columns, descending = _order(
            query,
            _r.location,
            {
                "publish_time": _v.publish_time,
                "end_of_life_time": func.coalesce(
                    _v.end_of_life_time,
                    _d.end_of_life_time,
                    literal(NEVER, _v.end_of_life_time.type),
                ),
            },
            (_r.major, _r.minor, _r.patch),
        )
        statement = (
            select(_g.uid, _g.document, _d.document, _v.document, _r.location, _v.policy_revision)
            .add_columns(_r.document if query.with_status else null(), *columns)
            .join_from(galleries, image_definitions, _d.parent_key == _g.key)
            .where(_r.usable, *self._chosen(query), *_in_region(_r.location, query.location))
        )
        if columns[0] is _v.publish_time:
            # In the order of an index of versions; otherwise what can be used is found first.
            statement = statement.join(image_versions, _v.parent_key == _d.key).join(
                version_regions, _r.version_uid == _v.uid
            )
        else:
            statement = statement.join(version_regions, _r.definition_key == _d.key).join(
                image_versions, _v.uid == _r.version_uid
            )
        if query.image and len(query.galleries) == 1:
            # Told apart from the joins, so that PostgreSQL too takes the order from an index.
            parent = _v.parent_key if columns[0] is _v.publish_time else _r.definition_key
            statement = statement.where(parent == _definition(query).scalar_subquery())
        if query.number is not None:
            major, minor, patch = query.number
            statement = statement.where(_r.major == major, _r.minor == minor, _r.patch == patch)
        if query.selectable:
            statement = statement.where(_r.selectable)
        if not query.with_deleted:
            statement = statement.where(_v.version_state == VersionState.ACTIVE.value)
        known: dict[str, Gallery] = {}
        return [
            VersionView(
                _gallery(row, known),
                load(Definition, row[2]),
                load(Version, row[3]),
                row[4],
                row[5],
                _position(row, 7),
                load(RegionStatus, row[6]) if query.with_status else None,
            )
            for row in self._rows(_paged(statement, query, columns, descending))
        ]

    def _chosen(self, query: ViewQuery) -> list[ColumnElement[bool]]:
        uids = query.galleries
        found: list[ColumnElement[bool]] = [
            _g.uid == uids[0] if len(uids) == 1 else _g.uid.in_(listed(uids, self._db.dialect))
        ]
        if query.image:
            found.append(_d.key == _g.key + literal(f"/images/{query.image}", KeyText))
        return found

    def _sought(self, sought: Sought) -> list[ColumnElement[bool]]:
        found = conditions(sought.comparisons, _STATED, _FOLDED)
        if sought.words:
            told = [document_text(_g.document, path, self._db.dialect) for path in _PUBLISHER]
            stated = [_VIEW_IDS[ViewId.PUBLIC], _d.publisher, _d.offer, _d.sku]
            texts = (*stated, type_coerce(_IMAGE_ID, Text), *told)
            lines = [func.coalesce(text, "") + literal("\n") for text in texts]
            whole = func.lower(reduce(operator.add, lines))
            found += [whole.contains(word.lower(), autoescape=True) for word in sought.words]
        return found

    def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        return self._db.read(lambda connection: connection.execute(statement).all())


def _definition(query: ViewQuery) -> Select[tuple[str]]:
    """Answer the key of the one definition that a query is about."""
    g, d = galleries.alias("one_gallery"), image_definitions.alias("one_definition")
    return (
        select(d.c.key)
        .join_from(g, d, d.c.parent_key == g.c.key)
        .where(
            g.c.uid == query.galleries[0],
            d.c.key == g.c.key + literal(f"/images/{query.image}", KeyText),
        )
    )


def _in_region(column: ColumnElement[Any], location: str) -> list[ColumnElement[bool]]:
    return [column == location] if location else []


def _order(
    query: ViewQuery,
    location: ColumnElement[Any],
    fields: dict[str, ColumnElement[Any]],
    number: Sequence[ColumnElement[Any]] = (),
) -> tuple[list[ColumnElement[Any]], list[bool]]:
    """Answer the columns of the order; what is the same in all rows is left out."""
    by_name: list[ColumnElement[Any]] = []
    if query.across:
        by_name.append(_VIEW_IDS[query.id])
    if not query.image:
        by_name.append(_IMAGE_ID)
    by_name += number
    if not query.location or not by_name:
        by_name.append(location)
    columns: list[ColumnElement[Any]] = []
    descending: list[bool] = []
    known = _DEFINITION_FIELDS | fields
    for order in query.order:
        found = by_name if order.field == "name" else [known[order.field]]
        columns += found
        descending += [order.descending] * len(found)
        if order.field == "name":
            return columns, descending
    down = descending[-1] if descending else False
    return columns + by_name, descending + [down] * len(by_name)


_DEFINITION_FIELDS: Final[dict[str, ColumnElement[Any]]] = {
    **{
        f"identifier.{part}": type_coerce(func.lower(_d[part]), KeyText)
        for part in ("publisher", "offer", "sku")
    },
    "end_of_life_time": func.coalesce(
        _d.end_of_life_time, literal(NEVER, _d.end_of_life_time.type)
    ),
}


def _paged(
    statement: Select[Any],
    query: ViewQuery,
    columns: Sequence[ColumnElement[Any]],
    descending: Sequence[bool],
) -> Select[Any]:
    if query.after is not None:
        values = [restored(c, v) for c, v in zip(columns, query.after, strict=True)]
        statement = statement.where(after(columns, values, descending=descending))
    ordered = [c.desc() if down else c for c, down in zip(columns, descending, strict=True)]
    return statement.order_by(*ordered).limit(query.limit)


def _gallery(row: Any, known: dict[str, Gallery]) -> Gallery:
    """Read a gallery once for all of its rows."""
    found = known.get(row[0])
    if found is None:
        found = known[row[0]] = load(Gallery, row[1])
    return found


def _position(row: Any, first: int) -> tuple[Any, ...]:
    return tuple(stored(value) for value in row[first:])
