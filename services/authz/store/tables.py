"""The tables of authz: the facts, the log of their changes, the audit log, the replicas."""

from typing import Final

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

from services.authz.domain.records import CommunitySharing, SubscriptionState
from services.authz.store.audit_tables import add_audit, add_decisions
from services.authz.store.columns import (
    ActivationList,
    EnumText,
    PermissionList,
    Span,
    Texts,
)
from services.kernel.db.tables import (
    Json,
    KeyText,
    UtcTime,
    add_feed,
    add_request_log,
    new_metadata,
)
from services.policy.model import PrincipalKind, SharingMode

METADATA: Final = new_metadata()

# The id of the installation, in every consistency token.
INSTALLATION: Final = Table(
    "installation",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
)

TENANTS: Final = Table(
    "tenants",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("name", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("community_sharing", EnumText(CommunitySharing), nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)

MANAGEMENT_GROUPS: Final = Table(
    "management_groups",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("tenant_key", KeyText, nullable=False, index=True),
    Column("parent_key", KeyText, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)

SUBSCRIPTIONS: Final = Table(
    "subscriptions",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("tenant_key", KeyText, nullable=False, index=True),
    Column("parent_key", KeyText, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("state", EnumText(SubscriptionState), nullable=False),
    Column("tags", Json, nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)

PRINCIPALS: Final = Table(
    "principals",
    METADATA,
    Column("key", KeyText, primary_key=True),
    # One principal of a tenant has an id, whatever its kind.
    Column("identity", KeyText, nullable=False, unique=True),
    Column("tenant_key", KeyText, nullable=False),
    # Null, not empty, where there is none, so that it is unique where there is one.
    Column("upn_key", KeyText),
    Column("external_key", KeyText, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", EnumText(PrincipalKind), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("user_principal_name", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("tenant_key", "upn_key"),
)

# Ids of tenants and principals that are gone: they are never given again.
USED_IDS: Final = Table("used_ids", METADATA, Column("identity", KeyText, primary_key=True))

MEMBERSHIPS: Final = Table(
    "memberships",
    METADATA,
    Column("group_key", KeyText, primary_key=True),
    Column("member_key", KeyText, primary_key=True),
    Column("group", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Index("ix_memberships_member_key", "member_key"),
)

ROLE_DEFINITIONS: Final = Table(
    "role_definitions",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("tenant_key", KeyText, nullable=False),
    Column("role_name_key", KeyText, nullable=False),
    Column("name", Text, nullable=False),
    Column("role_name", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("permissions", PermissionList, nullable=False),
    Column("assignable_scopes", Texts, nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("tenant_key", "role_name_key"),
)

ROLE_ASSIGNMENTS: Final = Table(
    "role_assignments",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("scope_key", KeyText, nullable=False),
    Column("principal_key", KeyText, nullable=False, index=True),
    Column("role_key", KeyText, nullable=False),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("principal_kind", EnumText(PrincipalKind), nullable=False),
    Column("role_definition", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("start_time", UtcTime),
    Column("end_time", UtcTime),
    Column("condition", Text, nullable=False),
    Column("condition_version", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    UniqueConstraint("scope_key", "principal_key", "role_key"),
    Index("ix_role_assignments_role_key_scope_key", "role_key", "scope_key"),
    # Few have an end.
    Index(
        "ix_role_assignments_end_time",
        "end_time",
        sqlite_where=text("end_time IS NOT NULL"),
        postgresql_where=text("end_time IS NOT NULL"),
    ),
)

ELIGIBLE_ASSIGNMENTS: Final = Table(
    "eligible_assignments",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("scope_key", KeyText, nullable=False),
    Column("principal_key", KeyText, nullable=False, index=True),
    Column("role_key", KeyText, nullable=False),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("principal_kind", EnumText(PrincipalKind), nullable=False),
    Column("role_definition", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("start_time", UtcTime),
    Column("end_time", UtcTime),
    Column("condition", Text, nullable=False),
    Column("condition_version", Text, nullable=False),
    Column("max_activation", Span, nullable=False),
    Column("justification_required", Boolean, nullable=False),
    Column("activations", ActivationList, nullable=False),
    Column("creator", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("scope_key", "principal_key", "role_key"),
    Index("ix_eligible_assignments_role_key_scope_key", "role_key", "scope_key"),
)

DENY_ASSIGNMENTS: Final = Table(
    "deny_assignments",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("scope_key", KeyText, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("permissions", PermissionList, nullable=False),
    Column("principals", Texts, nullable=False),
    Column("everyone", Boolean, nullable=False),
    Column("exclude_principals", Texts, nullable=False),
    Column("do_not_apply_to_child_scopes", Boolean, nullable=False),
    Column("creator", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)

# Which principals deny assignments name, so that those of one are found.
DENY_PRINCIPALS: Final = Table(
    "deny_principals",
    METADATA,
    Column("principal_key", KeyText, primary_key=True),
    Column("deny_key", KeyText, primary_key=True),
    Column("excluded", Boolean, primary_key=True),
    Index("ix_deny_principals_deny_key", "deny_key"),
)

SHARING_GRANTS: Final = Table(
    "sharing_grants",
    METADATA,
    Column("key", KeyText, primary_key=True),
    Column("gallery", Text, nullable=False),
    Column("gallery_uid", Text, nullable=False),
    Column("mode", EnumText(SharingMode), nullable=False),
    Column("shared_id", Text, nullable=False),
    Column("public_name", Text, nullable=False),
    Column("allow_copy", Boolean, nullable=False),
    Column("subscriptions", Texts, nullable=False),
    Column("tenants", Texts, nullable=False),
    Column("community_enabled", Boolean, nullable=False),
    Column("blocked_subscriptions", Texts, nullable=False),
    Column("blocked_tenants", Texts, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("update_time", UtcTime, nullable=False),
)

TOMBSTONES: Final = Table(
    "scope_tombstones",
    METADATA,
    Column("uid", Text, primary_key=True),
    Column("scope_key", KeyText, nullable=False),
    Column("scope", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("removed_count", BigInteger, nullable=False),
    Column("create_time", UtcTime, nullable=False),
)

POLICY_LOG: Final = add_feed(METADATA, "policy")
REQUEST_LOG: Final = add_request_log(METADATA)

AUDIT_CHAINS, AUDIT_RECORDS, AUDIT_REQUESTS = add_audit(METADATA)
DECISIONS: Final = add_decisions(METADATA)

REPLICAS: Final = Table(
    "replicas",
    METADATA,
    Column("replica_id", Text, primary_key=True),
    Column("workload", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("report_time", UtcTime, nullable=False),
)
