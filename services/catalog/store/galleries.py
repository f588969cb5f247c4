"""Galleries and definitions: what is unique besides their names."""

from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.domain.definition import Definition
from services.catalog.domain.gallery import Gallery
from services.catalog.store.resources import ResourceStore
from services.catalog.store.tables import galleries, image_definitions, public_names
from services.kernel.names import fold

_NAMED: Final = select(galleries.c.name).where(
    galleries.c.subscription_key == bindparam("s"), galleries.c.gallery_id_key == bindparam("i")
)
_IDENTIFIED: Final = select(image_definitions.c.document).where(
    image_definitions.c.parent_key == bindparam("p"),
    image_definitions.c.identifier_key == bindparam("i"),
)


class GalleryStore(ResourceStore[Gallery]):
    """Galleries in one transaction."""

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
        statement = maker(public_names).values(values).on_conflict_do_nothing()
        return self._tx.execute(statement).rowcount == 1


class DefinitionStore(ResourceStore[Definition]):
    """Image definitions in one transaction."""

    def with_identifier(self, gallery_key: str, identifier_key: str) -> Definition | None:
        """Answer the definition of a gallery that has this publisher, offer and SKU."""
        parameters = {"p": gallery_key, "i": identifier_key}
        return self._loaded(self._tx.execute(_IDENTIFIED, parameters).scalar_one_or_none())
