"""The tables of the catalog service.

Every resource has a row of the same shape: `document` is the domain value, which use cases
read; `body` is the message that a Get answers, written whenever the document is, so that reads
neither parse nor build anything; the other columns are what rows are found, ordered and filtered
by. Keys are those of names, so an index on them is also the index of what lies below a scope.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.catalog.store.version_regions_table import add_version_regions
from services.kernel.db.tables import (
    Json,
    KeyText,
    UtcTime,
    add_leases,
    add_operations,
    add_outbox,
    add_request_log,
    new_metadata,
)

metadata: Final = new_metadata()
outbox: Final = add_outbox(metadata)
operations: Final = add_operations(metadata)
request_log: Final = add_request_log(metadata)
leases: Final = add_leases(metadata)

# What is known of this database as a whole: how far the feed of replication is applied.
installation: Final = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


def _resource(name: str, *columns: Column[Any]) -> Table:
    table = Table(
        name,
        metadata,
        Column("key", KeyText, primary_key=True),
        Column("parent_key", KeyText, nullable=False),
        Column("subscription_key", KeyText, nullable=False),
        Column("name", Text, nullable=False),
        Column("uid", Text, nullable=False, unique=True),
        Column("location", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("policy_revision", BigInteger, nullable=False),
        Column("create_time", UtcTime, nullable=False),
        Column("update_time", UtcTime, nullable=False),
        Column("tags", Json, nullable=False),
        *columns,
        Column("document", Json, nullable=False),
        Column("body", LargeBinary, nullable=False),
    )
    Index(f"ix_{name}_parent", table.c.parent_key, table.c.key)
    Index(f"ix_{name}_create_time", table.c.parent_key, table.c.create_time, table.c.key)
    return table


resource_groups: Final = _resource("resource_groups")

galleries: Final = _resource(
    "galleries",
    # Names are unique in the subscription, not only in the group.
    Column("gallery_id_key", KeyText, nullable=False),
    Column("description", Text, nullable=False),
    Column("sharing_mode", Text, nullable=False),
    Column("soft_delete_enabled", Boolean, nullable=False),
    Column("shared_id", Text, nullable=False, unique=True),
    # Never given again, so the names of galleries that are gone stay in `public_names`.
    Column("public_name_key", Text, nullable=False),
    # Counts the changes of sharing, under the lock of this row.
    Column("sharing_sequence", BigInteger, nullable=False),
    Column("sharing_pending_since", UtcTime),
)
Index(
    "uq_galleries_name_in_subscription",
    galleries.c.subscription_key,
    galleries.c.gallery_id_key,
    unique=True,
)
_pending = text("sharing_pending_since IS NOT NULL")
Index(
    "ix_galleries_sharing_pending",
    galleries.c.sharing_pending_since,
    sqlite_where=_pending,
    postgresql_where=_pending,
)

public_names: Final = Table(
    "public_names",
    metadata,
    Column("public_name_key", KeyText, primary_key=True),
    Column("gallery_uid", Text, nullable=False),
)

image_definitions: Final = _resource(
    "image_definitions",
    Column("identifier_key", KeyText, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("os_type", Text, nullable=False),
    Column("os_state", Text, nullable=False),
    Column("hyper_v_generation", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("end_of_life_time", UtcTime),
)
Index(
    "uq_image_definitions_identifier",
    image_definitions.c.parent_key,
    image_definitions.c.identifier_key,
    unique=True,
)

image_versions: Final = _resource(
    "image_versions",
    Column("major", Integer, nullable=False),
    Column("minor", Integer, nullable=False),
    Column("patch", Integer, nullable=False),
    # The key with every number as long as the longest, so that its order is that of names.
    Column("ordered_key", KeyText, nullable=False),
    Column("mode", Text, nullable=False),
    Column("storage_type", Text, nullable=False),
    Column("exclude_from_latest", Boolean, nullable=False),
    Column("publish_time", UtcTime, nullable=False),
    Column("end_of_life_time", UtcTime),
    Column("version_state", Text, nullable=False),
    Column("delete_time", UtcTime),
    Column("consumption_end_time", UtcTime),
    Column("purge_time", UtcTime),
    # When retention ends or, after that, the version is purged: of soft-deleted ones alone.
    Column("expiry_time", UtcTime),
    Column("generation", BigInteger, nullable=False),
    Column("aggregated_state", Text, nullable=False),
    # A resource that must live on while the version is unfinished or shallow.
    Column("source_key", KeyText, nullable=False),
    # Messages with nothing but that field, appended to `body` where a view asks for it.
    Column("status_body", LargeBinary, nullable=False),
    Column("uefi_body", LargeBinary, nullable=False),
)
Index("uq_image_versions_ordered_key", image_versions.c.ordered_key, unique=True)
# Few are soft-deleted, among however many that are not.
_soft_deleted = text("version_state = 'SOFT_DELETED'")
Index(
    "ix_image_versions_soft_deleted",
    image_versions.c.ordered_key,
    sqlite_where=_soft_deleted,
    postgresql_where=_soft_deleted,
)
Index(
    "ix_image_versions_publish_time",
    image_versions.c.parent_key,
    image_versions.c.publish_time,
    image_versions.c.key,
)
Index("ix_image_versions_source", image_versions.c.source_key)
_expiring = text("expiry_time IS NOT NULL")
Index(
    "ix_image_versions_expiry",
    image_versions.c.expiry_time,
    image_versions.c.key,
    sqlite_where=_expiring,
    postgresql_where=_expiring,
)

version_regions: Final = add_version_regions(metadata)

# Versions that were deleted for good, so that their readers are told so.
deleted_versions: Final = Table(
    "deleted_versions",
    metadata,
    Column("key", KeyText, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("delete_time", UtcTime, nullable=False),
)

# What may not be deleted, `used_key`, because something else, `user_key`, needs it.
uses: Final = Table(
    "uses",
    metadata,
    Column("used_key", KeyText, primary_key=True),
    Column("user_key", KeyText, primary_key=True),
    Column("user_name", Text, nullable=False),
)
Index("ix_uses_user", uses.c.user_key)

# Sources.
virtual_machines: Final = _resource(
    "virtual_machines",
    Column("os_type", Text, nullable=False),
    Column("os_state", Text, nullable=False),
    Column("hyper_v_generation", Text, nullable=False),
    Column("architecture", Text, nullable=False),
)


def _disk_columns() -> tuple[Column[Any], ...]:
    return (
        Column("blob_key", KeyText, nullable=False),
        # Not set: a data disk, or not known.
        Column("os_type", Text),
        Column("os_state", Text),
        Column("hyper_v_generation", Text, nullable=False),
        Column("architecture", Text, nullable=False),
    )


disks: Final = _resource("disks", *_disk_columns(), Column("disk_type", Text, nullable=False))
snapshots: Final = _resource("snapshots", *_disk_columns())
managed_images: Final = _resource(
    "managed_images",
    Column("os_type", Text, nullable=False),
    Column("os_state", Text, nullable=False),
    Column("hyper_v_generation", Text, nullable=False),
    Column("architecture", Text, nullable=False),
)
storage_accounts: Final = _resource("storage_accounts", Column("store", Text, nullable=False))
disk_encryption_sets: Final = _resource(
    "disk_encryption_sets", Column("encryption_type", Text, nullable=False)
)

# The mirror of the regions, fed by the replication service.
regions: Final = Table(
    "regions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("display_key", Text, nullable=False),
    Column("feed_position", BigInteger, nullable=False),
    Column("document", Json, nullable=False),
    UniqueConstraint("display_key"),
)

# How much of each limit a subscription has used up in a region.
usage_counters: Final = Table(
    "usage_counters",
    metadata,
    Column("subscription_key", KeyText, primary_key=True),
    Column("location", KeyText, primary_key=True),
    Column("counter", KeyText, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
