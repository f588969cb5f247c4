"""Galleries as they are read: with the regions in which others see them."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, case, exists, func, literal_column, null, select

from services.catalog.convert.galleries import sharing_fragment
from services.catalog.domain.gallery import Gallery, SharingMode
from services.catalog.store.documents import load
from services.catalog.store.readers import TableReader
from services.catalog.store.tables import (
    galleries,
    image_definitions,
    regions,
    version_regions,
)

_g, _d, _r = galleries.c, image_definitions.c, version_regions.c
# Constants of a text that is compiled once, not parameters.
_DIVIDER: Final = literal_column("','", Text)
_SHARED: Final = _g.sharing_mode != literal_column(f"'{SharingMode.PRIVATE.value}'", Text)


def is_viewed(gallery_key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether something of a gallery can be used in a region: a condition on the regions."""
    return (
        exists()
        .where(
            _d.parent_key == gallery_key,
            _r.definition_key == _d.key,
            _r.location == regions.c.id,
            _r.usable,
        )
        .correlate(galleries, regions)
    )


class GalleryReader(TableReader):
    """Galleries: how far their sharing has come is told of each region with a view."""

    def selected(self) -> Select[Any]:
        """Answer the columns; what sharing needs is looked up for shared galleries alone."""
        divider: Any = _DIVIDER
        joined = select(func.aggregate_strings(regions.c.id, divider)).where(is_viewed(_g.key))
        return select(
            _g.key,
            _g.policy_revision,
            _g.body,
            case((_SHARED, _g.document), else_=null()),
            case((_SHARED, joined.correlate(galleries).scalar_subquery()), else_=null()),
        )

    def body(self, row: Any, view: str) -> bytes:
        """Answer the message of a row, with how far its sharing has come."""
        found: bytes = row[2]
        if row[3] is None:
            return found
        locations = sorted(row[4].split(",")) if row[4] else ()
        return found + sharing_fragment(load(Gallery, row[3]), locations)
