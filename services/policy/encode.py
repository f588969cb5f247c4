"""Writes the model as the feed's messages; what `convert` reads is equal to what was written.

Names come out as keys. Whoever keeps the spelling of names, as authz does, may set it in
the record afterwards: readers compare keys.
"""

from datetime import datetime
from typing import Final, assert_never

from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import permission_pb2, policy_change_pb2, sharing_grant_pb2, subscription_pb2
from stoa.authz.v1 import principal_pb2 as principals_pb2
from stoa.authz.v1.policy_change_pb2 import PolicyChange

from services.policy.model import (
    EVERYONE,
    Change,
    DenyAssignment,
    EligibleAssignment,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Membership,
    Permissions,
    Principal,
    Removed,
    RoleAssignment,
    RoleDefinition,
    ScopeTombstone,
    SharingGrant,
    SharingMode,
    Subscription,
    Tenant,
)

_MODES: Final = {
    SharingMode.PRIVATE: sharing_grant_pb2.SHARING_MODE_PRIVATE,
    SharingMode.GROUPS: sharing_grant_pb2.SHARING_MODE_GROUPS,
    SharingMode.COMMUNITY: sharing_grant_pb2.SHARING_MODE_COMMUNITY,
}


def change_to_pb(change: Change) -> PolicyChange:
    """Answer the message of one change."""
    match change:
        case RoleAssignment() | EligibleAssignment() | DenyAssignment():
            return _assignment(change)
        case Removed():
            return _removed(change)
        case Membership() | MemberRemoved():
            record = policy_change_pb2.GroupMembershipRecord(
                group=change.group, members=[change.member]
            )
            if isinstance(change, Membership):
                return PolicyChange(put_group_membership=record)
            return PolicyChange(delete_group_membership=record)
        case ScopeTombstone():
            return PolicyChange(
                tombstone_scope=policy_change_pb2.ScopeTombstone(
                    scope=change.scope, resource_uid=change.uid
                )
            )
        case SharingGrant():
            return PolicyChange(put_sharing_grant=_grant(change))
        case _:
            return _directory_entry(change)


def _directory_entry(
    change: RoleDefinition | Principal | Tenant | ManagementGroup | Subscription,
) -> PolicyChange:
    match change:
        case RoleDefinition():
            return PolicyChange(
                put_role_definition=policy_change_pb2.RoleDefinitionRecord(
                    name=f"roleDefinitions/{change.id}",
                    role_name=change.display_name,
                    permissions=map(_permission, change.permissions),
                    built_in=change.built_in,
                )
            )
        case Principal():
            external = change.external
            return PolicyChange(
                put_principal=policy_change_pb2.PrincipalRecord(
                    name=change.key,
                    disabled=not change.enabled,
                    external_identity=None
                    if external is None
                    else principals_pb2.ExternalIdentity(
                        issuer=external.issuer, subject=external.subject
                    ),
                )
            )
        case Tenant():
            return PolicyChange(
                put_tenant=policy_change_pb2.TenantRecord(name=change.key, uid=change.uid)
            )
        case ManagementGroup():
            return PolicyChange(
                put_management_group=policy_change_pb2.ManagementGroupRecord(
                    name=change.key, parent_management_group=change.parent or ""
                )
            )
        case Subscription():
            state = subscription_pb2.Subscription
            return PolicyChange(
                put_subscription=policy_change_pb2.SubscriptionRecord(
                    name=change.key,
                    tenant=change.tenant,
                    parent_management_group=change.parent,
                    state=state.STATE_ENABLED if change.enabled else state.STATE_DISABLED,
                    uid=change.uid,
                )
            )
        case _:
            assert_never(change)


def _assignment(change: RoleAssignment | EligibleAssignment | DenyAssignment) -> PolicyChange:
    match change:
        case RoleAssignment():
            return PolicyChange(
                put_role_assignment=policy_change_pb2.RoleAssignmentRecord(
                    name=change.name,
                    principal=change.principal,
                    role_definition=f"roleDefinitions/{change.role}",
                    start_time=_stamp(change.start),
                    end_time=_stamp(change.end),
                    condition=change.condition,
                )
            )
        case EligibleAssignment():
            return PolicyChange(
                put_eligible_assignment=policy_change_pb2.EligibleAssignmentRecord(
                    name=change.name,
                    principal=change.principal,
                    role_definition=f"roleDefinitions/{change.role}",
                    start_time=_stamp(change.start),
                    end_time=_stamp(change.end),
                    condition=change.condition,
                    activations=[
                        policy_change_pb2.ActivationRecord(
                            principal=one.principal,
                            start_time=_stamp(one.start),
                            end_time=_stamp(one.end),
                        )
                        for one in change.activations
                    ],
                )
            )
        case DenyAssignment():
            return PolicyChange(
                put_deny_assignment=policy_change_pb2.DenyAssignmentRecord(
                    name=change.name,
                    permissions=map(_permission, change.permissions),
                    principals=sorted(change.principals - {EVERYONE}),
                    everyone=EVERYONE in change.principals,
                    exclude_principals=sorted(change.exclude_principals),
                    do_not_apply_to_child_scopes=change.do_not_apply_to_child_scopes,
                )
            )
        case _:
            assert_never(change)


def _removed(change: Removed) -> PolicyChange:
    match change.kind:
        case Kind.ROLE_DEFINITION:
            return PolicyChange(delete_role_definition=f"roleDefinitions/{change.name}")
        case Kind.ROLE_ASSIGNMENT:
            return PolicyChange(delete_role_assignment=change.name)
        case Kind.DENY_ASSIGNMENT:
            return PolicyChange(delete_deny_assignment=change.name)
        case Kind.ELIGIBLE_ASSIGNMENT:
            return PolicyChange(delete_eligible_assignment=change.name)
        case Kind.PRINCIPAL:
            return PolicyChange(delete_principal=change.name)
        case Kind.TENANT:
            return PolicyChange(delete_tenant=change.name)
        case Kind.MANAGEMENT_GROUP:
            return PolicyChange(delete_management_group=change.name)
        case Kind.SHARING_GRANT:
            return PolicyChange(delete_sharing_grant=change.name)
        case _:
            assert_never(change.kind)


def _grant(grant: SharingGrant) -> sharing_grant_pb2.SharingGrant:
    return sharing_grant_pb2.SharingGrant(
        gallery=grant.gallery,
        gallery_uid=grant.gallery_uid,
        profile=sharing_grant_pb2.SharingProfile(
            mode=_MODES[grant.mode],
            shared_id=grant.shared_id,
            public_name=grant.public_name,
            allow_copy=grant.allow_copy,
        ),
        subscriptions=sorted(grant.subscriptions),
        tenants=sorted(grant.tenants),
        community_enabled=grant.community_enabled,
        blocked_subscriptions=sorted(
            one for one in grant.blocked if one.startswith("subscriptions/")
        ),
        blocked_tenants=sorted(one for one in grant.blocked if one.startswith("tenants/")),
    )


def _permission(permissions: Permissions) -> permission_pb2.Permission:
    return permission_pb2.Permission(
        actions=permissions.actions,
        not_actions=permissions.not_actions,
        data_actions=permissions.data_actions,
        not_data_actions=permissions.not_data_actions,
    )


def _stamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
