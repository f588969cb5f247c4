"""Changes of the policy as the contract spells them: what lies in the log and is fed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, assert_never

from stoa.authz.v1 import (
    permission_pb2,
    policy_change_pb2,
    policy_feed_service_pb2,
    principal_pb2,
    sharing_grant_pb2,
    subscription_pb2,
)

from services.authz.convert.times import timestamp
from services.authz.domain import records
from services.authz.domain.changes import Buried, Change, Gone, Joined, Left, Put
from services.authz.domain.eligibility import EligibleAssignment
from services.authz.domain.records import Record, SubscriptionState
from services.policy.model import Permissions, RoleDefinition, SharingMode

# Members in one membership record.
_MEMBERS: Final = 1000
_MODES: Final = {
    SharingMode.PRIVATE: sharing_grant_pb2.SHARING_MODE_PRIVATE,
    SharingMode.GROUPS: sharing_grant_pb2.SHARING_MODE_GROUPS,
    SharingMode.COMMUNITY: sharing_grant_pb2.SHARING_MODE_COMMUNITY,
}
_STATES: Final = {
    SubscriptionState.ENABLED: subscription_pb2.Subscription.STATE_ENABLED,
    SubscriptionState.DISABLED: subscription_pb2.Subscription.STATE_DISABLED,
}


def entry(changes: Sequence[Change], revision: int, commit_time: datetime) -> bytes:
    """Answer a transaction as it lies in the log: without the token, which the epoch decides."""
    transaction = policy_feed_service_pb2.Transaction(
        revision=revision, commit_time=timestamp(commit_time)
    )
    for change in changes:
        transaction.changes.extend(change_messages(change))
    return transaction.SerializeToString()


def change_messages(change: Change) -> Iterator[policy_change_pb2.PolicyChange]:
    """Answer a change in the messages of the contract; a large membership takes several."""
    match change:
        case Put():
            yield put_message(change.record)
        case Gone():
            yield _gone(change.record)
        case Joined():
            for part in _memberships(change.group, change.members):
                yield policy_change_pb2.PolicyChange(put_group_membership=part)
        case Left():
            for part in _memberships(change.group, change.members):
                yield policy_change_pb2.PolicyChange(delete_group_membership=part)
        case Buried():
            yield policy_change_pb2.PolicyChange(
                tombstone_scope=policy_change_pb2.ScopeTombstone(
                    scope=change.scope, resource_uid=change.uid
                )
            )
        case _:
            assert_never(change)


def built_in(role: RoleDefinition) -> policy_change_pb2.PolicyChange:
    """Answer a built-in role as a change."""
    return policy_change_pb2.PolicyChange(
        put_role_definition=policy_change_pb2.RoleDefinitionRecord(
            name=f"roleDefinitions/{role.id}",
            role_name=role.display_name,
            permissions=map(permission, role.permissions),
            built_in=True,
        )
    )


def permission(one: Permissions) -> permission_pb2.Permission:
    """Answer permissions as the contract spells them."""
    return permission_pb2.Permission(
        actions=one.actions,
        not_actions=one.not_actions,
        data_actions=one.data_actions,
        not_data_actions=one.not_data_actions,
    )


def put_message(record: Record) -> policy_change_pb2.PolicyChange:
    """Answer the change that says a record's whole state."""
    change = policy_change_pb2.PolicyChange()
    match record:
        case records.Tenant():
            change.put_tenant.name = record.name
            change.put_tenant.uid = record.uid
        case records.ManagementGroup():
            change.put_management_group.name = record.name
            change.put_management_group.parent_management_group = record.parent
        case records.Subscription():
            change.put_subscription.CopyFrom(
                policy_change_pb2.SubscriptionRecord(
                    name=record.name,
                    tenant=record.tenant,
                    parent_management_group=record.parent,
                    state=_STATES[record.state],
                    uid=record.uid,
                )
            )
        case records.Principal():
            change.put_principal.CopyFrom(_principal(record))
        case records.RoleDefinition():
            change.put_role_definition.CopyFrom(
                policy_change_pb2.RoleDefinitionRecord(
                    name=record.name,
                    role_name=record.role_name,
                    permissions=map(permission, record.permissions),
                )
            )
        case records.RoleAssignment():
            change.put_role_assignment.CopyFrom(_role_assignment(record))
        case EligibleAssignment():
            change.put_eligible_assignment.CopyFrom(_eligible_assignment(record))
        case records.DenyAssignment():
            change.put_deny_assignment.CopyFrom(
                policy_change_pb2.DenyAssignmentRecord(
                    name=record.name,
                    permissions=map(permission, record.permissions),
                    principals=record.principals,
                    everyone=record.everyone,
                    exclude_principals=record.exclude_principals,
                    do_not_apply_to_child_scopes=record.do_not_apply_to_child_scopes,
                )
            )
        case records.SharingGrant():
            change.put_sharing_grant.CopyFrom(grant_message(record))
        case _:
            assert_never(record)
    return change


def grant_message(grant: records.SharingGrant) -> sharing_grant_pb2.SharingGrant:
    """Answer what a gallery is shared with."""
    return sharing_grant_pb2.SharingGrant(
        gallery=grant.gallery,
        gallery_uid=grant.gallery_uid,
        profile=sharing_grant_pb2.SharingProfile(
            mode=_MODES[grant.mode],
            shared_id=grant.shared_id,
            public_name=grant.public_name,
            allow_copy=grant.allow_copy,
        ),
        subscriptions=grant.subscriptions,
        tenants=grant.tenants,
        community_enabled=grant.community_enabled,
        blocked_subscriptions=grant.blocked_subscriptions,
        blocked_tenants=grant.blocked_tenants,
        sequence=grant.sequence,
        revision=grant.revision,
        update_time=timestamp(grant.update_time),
    )


def _principal(record: records.Principal) -> policy_change_pb2.PrincipalRecord:
    external = None
    if record.issuer:
        external = principal_pb2.ExternalIdentity(issuer=record.issuer, subject=record.subject)
    return policy_change_pb2.PrincipalRecord(
        name=record.name, external_identity=external, disabled=not record.enabled
    )


def _role_assignment(record: records.RoleAssignment) -> policy_change_pb2.RoleAssignmentRecord:
    return policy_change_pb2.RoleAssignmentRecord(
        name=record.name,
        principal=record.principal,
        role_definition=record.role_definition,
        start_time=timestamp(record.start_time) if record.start_time else None,
        end_time=timestamp(record.end_time) if record.end_time else None,
        condition=record.condition,
        condition_version=record.condition_version,
    )


def _eligible_assignment(
    record: EligibleAssignment,
) -> policy_change_pb2.EligibleAssignmentRecord:
    """Answer what replicas decide by; why somebody took a role is not their business."""
    return policy_change_pb2.EligibleAssignmentRecord(
        name=record.name,
        principal=record.principal,
        role_definition=record.role_definition,
        start_time=timestamp(record.start_time) if record.start_time else None,
        end_time=timestamp(record.end_time) if record.end_time else None,
        condition=record.condition,
        condition_version=record.condition_version,
        activations=[
            policy_change_pb2.ActivationRecord(
                principal=one.principal,
                start_time=timestamp(one.start_time),
                end_time=timestamp(one.end_time),
            )
            for one in record.activations
        ],
    )


def _gone(record: Record) -> policy_change_pb2.PolicyChange:
    match record:
        case records.Tenant():
            return policy_change_pb2.PolicyChange(delete_tenant=record.name)
        case records.ManagementGroup():
            return policy_change_pb2.PolicyChange(delete_management_group=record.name)
        case records.Principal():
            return policy_change_pb2.PolicyChange(delete_principal=record.name)
        case records.RoleDefinition():
            return policy_change_pb2.PolicyChange(delete_role_definition=record.name)
        case records.RoleAssignment():
            return policy_change_pb2.PolicyChange(delete_role_assignment=record.name)
        case EligibleAssignment():
            return policy_change_pb2.PolicyChange(delete_eligible_assignment=record.name)
        case records.DenyAssignment():
            return policy_change_pb2.PolicyChange(delete_deny_assignment=record.name)
        case records.SharingGrant():
            return policy_change_pb2.PolicyChange(delete_sharing_grant=record.gallery)
        case records.Subscription():
            raise ValueError("a subscription is disabled, never deleted")
        case _:
            assert_never(record)


def _memberships(
    group: str, members: Sequence[str]
) -> Iterator[policy_change_pb2.GroupMembershipRecord]:
    for begin in range(0, len(members), _MEMBERS):
        part = members[begin : begin + _MEMBERS]
        yield policy_change_pb2.GroupMembershipRecord(group=group, members=part)
