"""The table of versions in regions, with the indexes that reading is fast by."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, text

from services.kernel.db.tables import Json, KeyText


def add_version_regions(metadata: MetaData) -> Table:
    """Declare the table: a row for each region a version is wanted in or not yet rid of."""
    version_regions = Table(
        "version_regions",
        metadata,
        Column("version_uid", Text, primary_key=True),
        Column("location", Text, primary_key=True),
        Column("version_key", KeyText, nullable=False),
        Column("definition_key", KeyText, nullable=False),
        Column("major", Integer, nullable=False),
        Column("minor", Integer, nullable=False),
        Column("patch", Integer, nullable=False),
        # Usable there, now: for views, and for a version that is asked for by its number.
        Column("usable", Boolean, nullable=False),
        # Usable, not excluded, neither soft-deleted nor on its way out: what `latest` may answer.
        Column("selectable", Boolean, nullable=False),
        Column("state", Text, nullable=False),
        Column("stored_bytes", BigInteger, nullable=False),
        Column("crossed_bytes", BigInteger, nullable=False),
        Column("document", Json, nullable=False),
    )
    # SQLite takes a partial index only where a query has its very words, which are these there.
    selectable, is_selectable = text("selectable"), text("selectable = 1")
    Index(
        "ix_version_regions_latest",
        version_regions.c.definition_key,
        version_regions.c.location,
        version_regions.c.major,
        version_regions.c.minor,
        version_regions.c.patch,
        sqlite_where=is_selectable,
        postgresql_where=selectable,
    )
    usable, is_usable = text("usable"), text("usable = 1")
    Index(
        "ix_version_regions_usable",
        version_regions.c.definition_key,
        version_regions.c.location,
        version_regions.c.major,
        version_regions.c.minor,
        version_regions.c.patch,
        version_regions.c.version_uid,
        sqlite_where=is_usable,
        postgresql_where=usable,
    )
    # The same for views of all regions, which are in the order of the numbers.
    Index(
        "ix_version_regions_everywhere",
        version_regions.c.definition_key,
        version_regions.c.major,
        version_regions.c.minor,
        version_regions.c.patch,
        version_regions.c.location,
        sqlite_where=is_usable,
        postgresql_where=usable,
    )
    return version_regions
