"""The tables of blobs: what they are, who holds them, and what is left of deleted ones."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text

from services.kernel.db.tables import Json, KeyText, UtcTime


def add_blobs(metadata: MetaData) -> tuple[Table, Table, Table]:
    """Declare the tables of blobs, of their holds and of what is left to be removed."""
    blobs = Table(
        "blobs",
        metadata,
        Column("uid", KeyText, primary_key=True),
        Column("name", Text, nullable=False),
        Column("name_key", KeyText, nullable=False, unique=True),
        Column("parent_key", KeyText, nullable=False),
        Column("subscription_key", KeyText, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("location", KeyText, nullable=False),
        Column("slot", KeyText, nullable=False),
        Column("format", Text, nullable=False),
        Column("size_bytes", BigInteger),
        Column("state", Text, nullable=False),
        Column("committed_bytes", BigInteger, nullable=False),
        Column("zero_bytes", BigInteger, nullable=False),
        Column("stored_bytes", BigInteger, nullable=False),
        Column("root", Text, nullable=False),
        Column("tags", Json, nullable=False),
        # Raised by each stream that opens: an older one may then write nothing more.
        Column("fence", BigInteger, nullable=False),
        Column("create_time", UtcTime, nullable=False),
        Column("update_time", UtcTime, nullable=False),
        Column("commit_time", UtcTime),
        # When it is collected; NULL while a source holds it.
        Column("expire_time", UtcTime),
        Column("revision", BigInteger, nullable=False),
    )
    Index("ix_blobs_list", blobs.c.parent_key, blobs.c.name_key)
    Index("ix_blobs_subscription", blobs.c.subscription_key, blobs.c.name_key)
    Index("ix_blobs_expire_time", blobs.c.expire_time)
    Index("ix_blobs_slot", blobs.c.location, blobs.c.slot)
    blob_holds = Table(
        "blob_holds",
        metadata,
        Column("blob", KeyText, ForeignKey("blobs.uid", ondelete="CASCADE"), primary_key=True),
        Column("source_uid", KeyText, primary_key=True),
        Column("source", Text, nullable=False),
        Column("create_time", UtcTime, nullable=False),
    )
    # Blobs that are deleted and whose refs and journals still lie in a slot.
    blob_removals = Table(
        "blob_removals",
        metadata,
        Column("blob", KeyText, primary_key=True),
        Column("location", Text, nullable=False),
        Column("slot", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("due_time", UtcTime, nullable=False),
        Column("create_time", UtcTime, nullable=False),
    )
    Index("ix_blob_removals_due_time", blob_removals.c.due_time)
    return blobs, blob_holds, blob_removals
