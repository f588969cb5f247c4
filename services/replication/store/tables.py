"""The tables of the replication service."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.kernel.db.tables import (
    Json,
    KeyText,
    UtcTime,
    add_feed,
    add_leases,
    add_operations,
    add_outbox,
    add_request_log,
    new_metadata,
)
from services.replication.store.blob_tables import add_blobs

metadata: Final = new_metadata()
outbox: Final = add_outbox(metadata)
operations: Final = add_operations(metadata)
request_log: Final = add_request_log(metadata)
leases: Final = add_leases(metadata)
feed: Final = add_feed(metadata, "feed")

# Every process signs page tokens with the secret that is configured or, without one, with this;
# `feed_uid` is the identity that followers know the feed by.
installation: Final = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

regions: Final = Table(
    "regions",
    metadata,
    Column("id", KeyText, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    # An id and a display name are looked up alike, so both are taken in one column.
    Column("display_key", KeyText, nullable=False, unique=True),
    Column("zones", Json, nullable=False),
    Column("capabilities", Json, nullable=False),
    Column("prices", Json),
    Column("limits", Json),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("feed_position", BigInteger, nullable=False),
)

slots: Final = Table(
    "slots",
    metadata,
    Column("location", KeyText, ForeignKey("regions.id", ondelete="CASCADE"), primary_key=True),
    Column("id", KeyText, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("store_url", Text, nullable=False),
    Column("store_options", Json, nullable=False),
    Column("failure_domain", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("internal_replica_count", Integer),
    Column("replica_id", Text, nullable=False, unique=True),
    Column("health", Text, nullable=False),
    Column("free_bytes", BigInteger),
    Column("device", Text, nullable=False),
    Column("probe_time", UtcTime),
)

# A version as the catalog wants it now. Its row is what all changes of one version lock.
versions: Final = Table(
    "versions",
    metadata,
    Column("uid", KeyText, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", KeyText, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("desired", Json, nullable=False),
    Column("grant", Json, nullable=False),
    Column("replication", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
)
Index("ix_versions_name_key", versions.c.name_key, versions.c.create_time)

# The content of a version's disks, fixed by the first reading.
version_disks: Final = Table(
    "version_disks",
    metadata,
    Column("version", KeyText, ForeignKey("versions.uid"), primary_key=True),
    Column("disk", KeyText, primary_key=True),
    Column("root", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("data_bytes", BigInteger, nullable=False),
)

# A version in a region, through all replications and after them.
version_regions: Final = Table(
    "version_regions",
    metadata,
    Column("version", KeyText, ForeignKey("versions.uid"), primary_key=True),
    Column("location", KeyText, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("replication", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("good", Integer, nullable=False),
    Column("was_completed", Boolean, nullable=False),
    Column("cause", Json),
    Column("progress", Json, nullable=False),
    Column("source_location", Text, nullable=False),
    Column("crossed_bytes", BigInteger, nullable=False),
    Column("start_time", UtcTime),
    Column("end_time", UtcTime),
    Column("feed_position", BigInteger, nullable=False),
)
Index("ix_version_regions_location", version_regions.c.location)

replications: Final = Table(
    "replications",
    metadata,
    Column("id", KeyText, primary_key=True),
    Column("version", KeyText, ForeignKey("versions.uid"), nullable=False),
    Column("name_key", KeyText, nullable=False),
    Column("name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("aggregated", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    # Sequence number of the oldest event that was compacted away: what comes after is held.
    Column("horizon", BigInteger, nullable=False),
    # Counts progress: a watcher that has seen this number has seen the newest figures.
    Column("progress_revision", BigInteger, nullable=False),
    Column("progress", Json, nullable=False),
    Column("predecessor", Text, nullable=False),
    Column("successor", Text, nullable=False),
    Column("retry", Boolean, nullable=False),
    # What makes a delivery the same one: the request id of a retry, empty otherwise.
    Column("delivery", Text, nullable=False),
    Column("digest", Text, nullable=False),
    # Regions of this replication in their order: ids alone, their state is in version_regions.
    Column("locations", Json, nullable=False),
    Column("operation", Text, nullable=False),
    Column("trace_context", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("end_time", UtcTime),
    # The whole replication as it ended: what happens to a replica later does not change it.
    Column("final", Json),
    Column("feed_position", BigInteger, nullable=False),
    UniqueConstraint("version", "generation", "delivery"),
)
Index("ix_replications_list", replications.c.create_time, replications.c.id)
Index("ix_replications_name", replications.c.name_key, replications.c.create_time)
_awaited = text("operation <> ''")
Index(
    "ix_replications_operation",
    replications.c.operation,
    sqlite_where=_awaited,
    postgresql_where=_awaited,
)
_open = text("end_time IS NULL")
Index("ix_replications_open", replications.c.id, sqlite_where=_open, postgresql_where=_open)

# A version in a slot: at once the replica and the task that makes, or removes, it.
replicas: Final = Table(
    "replicas",
    metadata,
    Column("version", KeyText, ForeignKey("versions.uid"), primary_key=True),
    Column("location", KeyText, primary_key=True),
    Column("slot", KeyText, primary_key=True),
    Column("name_key", KeyText, nullable=False),
    Column("storage_type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("intent", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("replication", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("due_time", UtcTime, nullable=False),
    Column("deadline_time", UtcTime, nullable=False),
    Column("cause", Json),
    Column("progress", Json, nullable=False),
    # Where the bytes come from: a region id, empty for the source itself.
    Column("source_location", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_time", UtcTime, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("commit_time", UtcTime),
)
UNFINISHED: Final = text("state NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'REMOVED')")
Index(
    "ix_replicas_unfinished",
    replicas.c.due_time,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)
# The versions of a definition in a slot lie side by side.
Index("ix_replicas_slot", replicas.c.location, replicas.c.slot, replicas.c.name_key)
_owned = text("owner <> ''")
Index("ix_replicas_owner", replicas.c.owner, sqlite_where=_owned, postgresql_where=_owned)
Index("ix_replicas_name", replicas.c.name_key, replicas.c.location, replicas.c.slot)
DAMAGED: Final = text("health IN ('DAMAGED', 'REPAIRING')")
Index("ix_replicas_damaged", replicas.c.due_time, sqlite_where=DAMAGED, postgresql_where=DAMAGED)

replica_disks: Final = Table(
    "replica_disks",
    metadata,
    Column("version", KeyText, primary_key=True),
    Column("location", KeyText, primary_key=True),
    Column("slot", KeyText, primary_key=True),
    Column("disk", KeyText, primary_key=True),
    Column("state", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("cause", Json),
    Column("progress", Json, nullable=False),
    # Segments below this one are durable, verified and journalled in the slot.
    Column("checkpoint", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("damaged_bytes", BigInteger, nullable=False),
    Column("healed_bytes", BigInteger, nullable=False),
    Column("heal_count", Integer, nullable=False),
    Column("heal_time", UtcTime),
    Column("verify_time", UtcTime),
)
Index("ix_replica_disks_place", replica_disks.c.location, replica_disks.c.slot)
COMMITTED: Final = text("state = 'COMPLETED'")
Index(
    "ix_replica_disks_verify_time",
    replica_disks.c.verify_time,
    sqlite_where=COMMITTED,
    postgresql_where=COMMITTED,
)

# Room in a region for what is being written: nobody else counts on it. `owner` is a version or a
# blob, `disk` a disk of the version.
promised_room: Final = Table(
    "promised_room",
    metadata,
    Column("location", KeyText, primary_key=True),
    Column("slot", KeyText, primary_key=True),
    Column("owner", KeyText, primary_key=True),
    Column("disk", KeyText, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
)

# What VerifyReplicas was asked for, until it is done.
verifications: Final = Table(
    "verifications",
    metadata,
    Column("operation", KeyText, primary_key=True),
    Column("version", KeyText, nullable=False),
    Column("depth", Text, nullable=False),
    Column("report_only", Boolean, nullable=False),
    Column("targets", Json, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("position", Integer, nullable=False),
    Column("findings", Json, nullable=False),
    Column("regions", Json, nullable=False),
    Column("verified_count", Integer, nullable=False),
    Column("damaged_count", Integer, nullable=False),
    Column("all_good", Boolean, nullable=False),
    Column("verified_bytes", BigInteger, nullable=False),
    Column("repaired_bytes", BigInteger, nullable=False),
)

# The state transitions of each replication, and its end.
events: Final = Table(
    "events",
    metadata,
    Column("replication", KeyText, ForeignKey("replications.id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("create_time", UtcTime, nullable=False),
    Column("payload", Json, nullable=False),
)

blobs, blob_holds, blob_removals = add_blobs(metadata)
