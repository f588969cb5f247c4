"""The first schema."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db import tables

revision = "0001"
down_revision = None


def upgrade() -> None:  # noqa: PLR0915 - one statement for each table and index
    """Create every table."""
    op.create_table(
        "deleted_versions",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("delete_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deleted_versions")),
    )
    op.create_table(
        "disk_encryption_sets",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_disk_encryption_sets")),
        sa.UniqueConstraint("uid", name=op.f("uq_disk_encryption_sets_uid")),
    )
    op.create_index(
        "ix_disk_encryption_sets_create_time",
        "disk_encryption_sets",
        ["parent_key", "create_time", "key"],
        unique=False,
    )
    op.create_index(
        "ix_disk_encryption_sets_parent",
        "disk_encryption_sets",
        ["parent_key", "key"],
        unique=False,
    )
    op.create_table(
        "disks",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_disks")),
        sa.UniqueConstraint("uid", name=op.f("uq_disks_uid")),
    )
    op.create_index(
        "ix_disks_create_time", "disks", ["parent_key", "create_time", "key"], unique=False
    )
    op.create_index("ix_disks_parent", "disks", ["parent_key", "key"], unique=False)
    op.create_table(
        "galleries",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column(
            "gallery_id_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sharing_mode", sa.Text(), nullable=False),
        sa.Column("soft_delete_enabled", sa.Boolean(), nullable=False),
        sa.Column("shared_id", sa.Text(), nullable=False),
        sa.Column("public_name_key", sa.Text(), nullable=False),
        sa.Column("sharing_sequence", sa.BigInteger(), nullable=False),
        sa.Column("sharing_pending_since", tables.UtcTime(), nullable=True),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_galleries")),
        sa.UniqueConstraint("shared_id", name=op.f("uq_galleries_shared_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_galleries_uid")),
    )
    op.create_index(
        "ix_galleries_create_time", "galleries", ["parent_key", "create_time", "key"], unique=False
    )
    op.create_index("ix_galleries_parent", "galleries", ["parent_key", "key"], unique=False)
    op.create_index(
        "ix_galleries_sharing_pending",
        "galleries",
        ["sharing_pending_since"],
        unique=False,
        sqlite_where=sa.text("sharing_pending_since IS NOT NULL"),
        postgresql_where=sa.text("sharing_pending_since IS NOT NULL"),
    )
    op.create_index(
        "uq_galleries_name_in_subscription",
        "galleries",
        ["subscription_key", "gallery_id_key"],
        unique=True,
    )
    op.create_table(
        "image_definitions",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column(
            "identifier_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("publisher", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("os_type", sa.Text(), nullable=False),
        sa.Column("os_state", sa.Text(), nullable=False),
        sa.Column("hyper_v_generation", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("end_of_life_time", tables.UtcTime(), nullable=True),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_image_definitions")),
        sa.UniqueConstraint("uid", name=op.f("uq_image_definitions_uid")),
    )
    op.create_index(
        "ix_image_definitions_create_time",
        "image_definitions",
        ["parent_key", "create_time", "key"],
        unique=False,
    )
    op.create_index(
        "ix_image_definitions_parent", "image_definitions", ["parent_key", "key"], unique=False
    )
    op.create_index(
        "uq_image_definitions_identifier",
        "image_definitions",
        ["parent_key", "identifier_key"],
        unique=True,
    )
    op.create_table(
        "image_versions",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("patch", sa.Integer(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("storage_type", sa.Text(), nullable=False),
        sa.Column("exclude_from_latest", sa.Boolean(), nullable=False),
        sa.Column("publish_time", tables.UtcTime(), nullable=False),
        sa.Column("end_of_life_time", tables.UtcTime(), nullable=True),
        sa.Column("version_state", sa.Text(), nullable=False),
        sa.Column("delete_time", tables.UtcTime(), nullable=True),
        sa.Column("consumption_end_time", tables.UtcTime(), nullable=True),
        sa.Column("purge_time", tables.UtcTime(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("aggregated_state", sa.Text(), nullable=False),
        sa.Column(
            "source_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("status_body", sa.LargeBinary(), nullable=False),
        sa.Column("uefi_body", sa.LargeBinary(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_image_versions")),
        sa.UniqueConstraint("uid", name=op.f("uq_image_versions_uid")),
    )
    op.create_index(
        "ix_image_versions_create_time",
        "image_versions",
        ["parent_key", "create_time", "key"],
        unique=False,
    )
    op.create_index(
        "ix_image_versions_number",
        "image_versions",
        ["parent_key", "major", "minor", "patch", "key"],
        unique=False,
    )
    op.create_index(
        "ix_image_versions_parent", "image_versions", ["parent_key", "key"], unique=False
    )
    op.create_index("ix_image_versions_source", "image_versions", ["source_key"], unique=False)
    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_installation")),
    )
    op.create_table(
        "leases",
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("duty", name=op.f("pk_leases")),
    )
    op.create_table(
        "managed_images",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("os_type", sa.Text(), nullable=False),
        sa.Column("os_state", sa.Text(), nullable=False),
        sa.Column("hyper_v_generation", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_managed_images")),
        sa.UniqueConstraint("uid", name=op.f("uq_managed_images_uid")),
    )
    op.create_index(
        "ix_managed_images_create_time",
        "managed_images",
        ["parent_key", "create_time", "key"],
        unique=False,
    )
    op.create_index(
        "ix_managed_images_parent", "managed_images", ["parent_key", "key"], unique=False
    )
    op.create_table(
        "operations",
        sa.Column(
            "id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("subscription", sa.Text(), nullable=False),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column(
            "target_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("end_time", tables.UtcTime(), nullable=True),
        sa.Column(
            "cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.Column("detail", tables.Json(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.LargeBinary(), nullable=True),
        sa.Column("expire_time", tables.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index("ix_operations_expire_time", "operations", ["expire_time"], unique=False)
    op.create_index(
        "ix_operations_list", "operations", ["subscription_key", "create_time", "id"], unique=False
    )
    op.create_index(
        "ix_operations_unfinished",
        "operations",
        ["target_key", "create_time"],
        unique=False,
        sqlite_where=sa.text("end_time IS NULL"),
        postgresql_where=sa.text("end_time IS NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("aggregate", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("trace_context", sa.Text(), server_default="", nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("sent_time", tables.UtcTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_time", tables.UtcTime(), nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_sent_time", "outbox", ["sent_time"], unique=False)
    op.create_index(
        "ix_outbox_unsent",
        "outbox",
        ["aggregate", "seq"],
        unique=False,
        sqlite_where=sa.text("sent_time IS NULL"),
        postgresql_where=sa.text("sent_time IS NULL"),
    )
    op.create_table(
        "public_names",
        sa.Column(
            "public_name_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("gallery_uid", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("public_name_key", name=op.f("pk_public_names")),
    )
    op.create_table(
        "regions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("display_key", sa.Text(), nullable=False),
        sa.Column("feed_position", sa.BigInteger(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_regions")),
        sa.UniqueConstraint("display_key", name=op.f("uq_regions_display_key")),
    )
    op.create_table(
        "request_log",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
        sa.Column("expire_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "method", "request_id", name=op.f("pk_request_log")),
    )
    op.create_index("ix_request_log_expire_time", "request_log", ["expire_time"], unique=False)
    op.create_table(
        "resource_groups",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_resource_groups")),
        sa.UniqueConstraint("uid", name=op.f("uq_resource_groups_uid")),
    )
    op.create_index(
        "ix_resource_groups_create_time",
        "resource_groups",
        ["parent_key", "create_time", "key"],
        unique=False,
    )
    op.create_index(
        "ix_resource_groups_parent", "resource_groups", ["parent_key", "key"], unique=False
    )
    op.create_table(
        "snapshots",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("uid", name=op.f("uq_snapshots_uid")),
    )
    op.create_index(
        "ix_snapshots_create_time", "snapshots", ["parent_key", "create_time", "key"], unique=False
    )
    op.create_index("ix_snapshots_parent", "snapshots", ["parent_key", "key"], unique=False)
    op.create_table(
        "storage_accounts",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_storage_accounts")),
        sa.UniqueConstraint("uid", name=op.f("uq_storage_accounts_uid")),
    )
    op.create_index(
        "ix_storage_accounts_create_time",
        "storage_accounts",
        ["parent_key", "create_time", "key"],
        unique=False,
    )
    op.create_index(
        "ix_storage_accounts_parent", "storage_accounts", ["parent_key", "key"], unique=False
    )
    op.create_table(
        "usage_counters",
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "subscription_key", "location", "counter", name=op.f("pk_usage_counters")
        ),
    )
    op.create_table(
        "uses",
        sa.Column(
            "used_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "user_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("used_key", "user_key", name=op.f("pk_uses")),
    )
    op.create_index("ix_uses_user", "uses", ["user_key"], unique=False)
    op.create_table(
        "version_regions",
        sa.Column("version_uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column(
            "version_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "definition_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("patch", sa.Integer(), nullable=False),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("selectable", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("crossed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("version_uid", "location", name=op.f("pk_version_regions")),
    )
    op.create_index(
        "ix_version_regions_latest",
        "version_regions",
        ["definition_key", "location", "major", "minor", "patch"],
        unique=False,
        sqlite_where=sa.text("selectable"),
        postgresql_where=sa.text("selectable"),
    )
    op.create_index(
        "ix_version_regions_usable",
        "version_regions",
        ["definition_key", "location", "major", "minor", "patch", "version_uid"],
        unique=False,
        sqlite_where=sa.text("usable"),
        postgresql_where=sa.text("usable"),
    )
    op.create_table(
        "virtual_machines",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "subscription_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("document", tables.Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_virtual_machines")),
        sa.UniqueConstraint("uid", name=op.f("uq_virtual_machines_uid")),
    )
    op.create_index(
        "ix_virtual_machines_create_time",
        "virtual_machines",
        ["parent_key", "create_time", "key"],
        unique=False,
    )
    op.create_index(
        "ix_virtual_machines_parent", "virtual_machines", ["parent_key", "key"], unique=False
    )
