"""The mirror of the regions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.domain.region import Region, location_key
from services.catalog.store.documents import dump, load
from services.catalog.store.tables import regions
from services.kernel.db.engine import Database

_SPELLED: Final = select(regions.c.document).where(
    or_(
        regions.c.id.in_(bindparam("keys", expanding=True)),
        regions.c.display_key.in_(bindparam("keys", expanding=True)),
    )
)
_KNOWN: Final = select(regions.c.id).order_by(regions.c.id)


def spelled(connection: Connection, spellings: Sequence[str]) -> Mapping[str, Region]:
    """Answer the region that each spelling means, by one statement; unknown ones are left out."""
    keys = {one: location_key(one) for one in spellings}
    if not keys:
        return {}
    rows = connection.execute(_SPELLED, {"keys": sorted(set(keys.values()))}).scalars()
    by_key: dict[str, Region] = {}
    for document in rows:
        region = load(Region, document)
        by_key[region.id] = by_key[location_key(region.display_name)] = region
    return {one: by_key[folded] for one, folded in keys.items() if folded in by_key}


def known(connection: Connection) -> Sequence[str]:
    """Answer the ids of all regions, in their order."""
    return connection.execute(_KNOWN).scalars().all()


class StoredRegions:
    """Fulfils the port `RegionRows`."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db

    def spelled(self, spellings: Sequence[str]) -> Mapping[str, Region]:
        """Answer the region that each id or display name means; unknown ones are left out."""
        return self._db.read(lambda connection: spelled(connection, spellings))

    def known(self) -> Sequence[str]:
        """Answer the ids of all regions, in their order."""
        return self._db.read(known)


class RegionMirror:
    """The regions, written by the follower of the feed."""

    def __init__(self, tx: Connection) -> None:
        self._tx: Final = tx

    def of(self, ids: Sequence[str]) -> Mapping[str, Region]:
        """Answer the regions with these ids; unknown ones are left out."""
        return spelled(self._tx, ids)

    def put(self, region: Region, position: int) -> None:
        """Add or replace a region, unless what is there is newer."""
        maker = sqlite.insert if self._tx.dialect.name == "sqlite" else postgresql.insert
        # A display name may have moved from one region to another.
        taken = regions.c.display_key == location_key(region.display_name)
        self._tx.execute(delete(regions).where(taken, regions.c.id != region.id))
        values: dict[str, Any] = {
            "uid": region.uid,
            "display_key": location_key(region.display_name),
            "feed_position": position,
            "document": dump(region),
        }
        self._tx.execute(
            maker(regions)
            .values(id=region.id, **values)
            .on_conflict_do_update(
                index_elements=["id"], set_=values, where=regions.c.feed_position <= position
            )
        )

    def remove(self, region_id: str, uid: str) -> None:
        """Remove a region, unless another one has its id now."""
        self._tx.execute(delete(regions).where(regions.c.id == region_id, regions.c.uid == uid))

    def keep_only(self, ids: Sequence[str]) -> None:
        """Remove every region that is not among these."""
        self._tx.execute(delete(regions).where(regions.c.id.not_in(ids)))
