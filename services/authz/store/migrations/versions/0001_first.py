"""The first schema."""

import sqlalchemy as sa
from alembic import op

from services.kernel.db import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "audit_chains",
        sa.Column(
            "chain", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_chains")),
    )
    op.create_table(
        "audit_records",
        sa.Column(
            "chain", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "home_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "resource_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("event_time", tables.UtcTime(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("trace_parent", sa.Text(), nullable=False),
        sa.Column("details", tables.Json(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("previous_digest", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_audit_records")),
    )
    op.create_index(
        "ix_audit_records_chain_time",
        "audit_records",
        ["chain", "event_time", "sequence"],
        unique=False,
    )
    op.create_index(
        "ix_audit_records_event_time",
        "audit_records",
        ["event_time", "chain", "sequence"],
        unique=False,
    )
    op.create_index(
        "ix_audit_records_home_time",
        "audit_records",
        ["home_key", "event_time", "chain", "sequence"],
        unique=False,
    )
    op.create_table(
        "audit_requests",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("names", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "workload", name=op.f("pk_audit_requests")),
    )
    op.create_table(
        "deny_assignments",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "scope_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("permissions", tables.Json(), nullable=False),
        sa.Column("principals", tables.Json(), nullable=False),
        sa.Column("everyone", sa.Boolean(), nullable=False),
        sa.Column("exclude_principals", tables.Json(), nullable=False),
        sa.Column("do_not_apply_to_child_scopes", sa.Boolean(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deny_assignments")),
    )
    op.create_index(
        op.f("ix_deny_assignments_scope_key"), "deny_assignments", ["scope_key"], unique=False
    )
    op.create_table(
        "deny_principals",
        sa.Column(
            "principal_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "deny_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("excluded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "principal_key", "deny_key", "excluded", name=op.f("pk_deny_principals")
        ),
    )
    op.create_index("ix_deny_principals_deny_key", "deny_principals", ["deny_key"], unique=False)
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "management_groups",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "tenant_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_management_groups")),
    )
    op.create_index(
        op.f("ix_management_groups_parent_key"), "management_groups", ["parent_key"], unique=False
    )
    op.create_index(
        op.f("ix_management_groups_tenant_key"), "management_groups", ["tenant_key"], unique=False
    )
    op.create_table(
        "memberships",
        sa.Column(
            "group_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "member_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("group_key", "member_key", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_member_key", "memberships", ["member_key"], unique=False)
    op.create_table(
        "policy_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("horizon", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_head")),
    )
    op.create_table(
        "policy_log",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_policy_log")),
    )
    op.create_index("ix_policy_log_create_time", "policy_log", ["create_time"], unique=False)
    op.create_table(
        "principals",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "identity", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "tenant_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "upn_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "external_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("user_principal_name", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_principals")),
        sa.UniqueConstraint("external_key", name=op.f("uq_principals_external_key")),
        sa.UniqueConstraint("identity", name=op.f("uq_principals_identity")),
        sa.UniqueConstraint("tenant_key", "upn_key", name=op.f("uq_principals_tenant_key_upn_key")),
    )
    op.create_table(
        "replicas",
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("report_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("replica_id", "workload", name=op.f("pk_replicas")),
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
        "role_assignments",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "scope_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "principal_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "role_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("principal_kind", sa.Text(), nullable=False),
        sa.Column("role_definition", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("start_time", tables.UtcTime(), nullable=True),
        sa.Column("end_time", tables.UtcTime(), nullable=True),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("condition_version", sa.Text(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_role_assignments")),
        sa.UniqueConstraint(
            "scope_key",
            "principal_key",
            "role_key",
            name=op.f("uq_role_assignments_scope_key_principal_key_role_key"),
        ),
    )
    op.create_index(
        op.f("ix_role_assignments_principal_key"),
        "role_assignments",
        ["principal_key"],
        unique=False,
    )
    op.create_index(
        "ix_role_assignments_role_key_scope_key",
        "role_assignments",
        ["role_key", "scope_key"],
        unique=False,
    )
    op.create_table(
        "role_definitions",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "tenant_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "role_name_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role_name", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("permissions", tables.Json(), nullable=False),
        sa.Column("assignable_scopes", tables.Json(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_role_definitions")),
        sa.UniqueConstraint(
            "tenant_key", "role_name_key", name=op.f("uq_role_definitions_tenant_key_role_name_key")
        ),
    )
    op.create_table(
        "scope_tombstones",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column(
            "scope_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("removed_count", sa.BigInteger(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_scope_tombstones")),
    )
    op.create_table(
        "sharing_grants",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("gallery", sa.Text(), nullable=False),
        sa.Column("gallery_uid", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("shared_id", sa.Text(), nullable=False),
        sa.Column("public_name", sa.Text(), nullable=False),
        sa.Column("allow_copy", sa.Boolean(), nullable=False),
        sa.Column("subscriptions", tables.Json(), nullable=False),
        sa.Column("tenants", tables.Json(), nullable=False),
        sa.Column("community_enabled", sa.Boolean(), nullable=False),
        sa.Column("blocked_subscriptions", tables.Json(), nullable=False),
        sa.Column("blocked_tenants", tables.Json(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sharing_grants")),
    )
    op.create_table(
        "subscriptions",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "tenant_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "parent_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_subscriptions")),
    )
    op.create_index(
        op.f("ix_subscriptions_parent_key"), "subscriptions", ["parent_key"], unique=False
    )
    op.create_index(
        op.f("ix_subscriptions_tenant_key"), "subscriptions", ["tenant_key"], unique=False
    )
    op.create_table(
        "tenants",
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("community_sharing", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("create_time", tables.UtcTime(), nullable=False),
        sa.Column("update_time", tables.UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_tenants")),
    )
    op.create_table(
        "used_ids",
        sa.Column(
            "identity", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_used_ids")),
    )
