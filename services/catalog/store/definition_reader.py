"""Definitions, by what they are found by."""

from typing import Final

from sqlalchemy import bindparam, select

from services.catalog.store.lists import DEFINITIONS
from services.catalog.store.readers import TableReader
from services.catalog.store.tables import (
    image_definitions,
)
from services.kernel.db.engine import Database

_d = image_definitions.c
_IDENTIFIED: Final = select(_d.name).where(
    _d.parent_key == bindparam("p"), _d.identifier_key == bindparam("i")
)


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
