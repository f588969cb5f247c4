"""Tenants, management groups, subscriptions and principals between the domain and the contract."""

from typing import Any, Final

from stoa.authz.v1 import (
    group_pb2,
    management_group_pb2,
    principal_pb2,
    service_principal_pb2,
    subscription_pb2,
    tenant_pb2,
    user_pb2,
)

from services.authz.convert.times import timestamp
from services.authz.domain.records import (
    CommunitySharing,
    ManagementGroup,
    Principal,
    Subscription,
    SubscriptionState,
    Tenant,
)
from services.authz.usecases.principals import NewPrincipal
from services.kernel.etag import etag_of
from services.policy.model import PrincipalKind

_COMMUNITY: Final = {
    CommunitySharing.ALLOWED: tenant_pb2.Tenant.COMMUNITY_SHARING_ALLOWED,
    CommunitySharing.SIMULATION_REQUIRED: (tenant_pb2.Tenant.COMMUNITY_SHARING_SIMULATION_REQUIRED),
    CommunitySharing.FORBIDDEN: tenant_pb2.Tenant.COMMUNITY_SHARING_FORBIDDEN,
}
COMMUNITY: Final = {value: one for one, value in _COMMUNITY.items()} | {
    tenant_pb2.Tenant.COMMUNITY_SHARING_UNSPECIFIED: CommunitySharing.ALLOWED
}
_STATES: Final = {
    SubscriptionState.ENABLED: subscription_pb2.Subscription.STATE_ENABLED,
    SubscriptionState.DISABLED: subscription_pb2.Subscription.STATE_DISABLED,
}


def tenant(record: Tenant) -> tenant_pb2.Tenant:
    """Answer a tenant."""
    return tenant_pb2.Tenant(
        name=record.name,
        display_name=record.display_name,
        community_sharing=_COMMUNITY[record.community_sharing],
        root_management_group=record.root_management_group,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        uid=record.uid,
        etag=etag_of(record.version, record.uid),
    )


def management_group(record: ManagementGroup) -> management_group_pb2.ManagementGroup:
    """Answer a management group."""
    return management_group_pb2.ManagementGroup(
        name=record.name,
        display_name=record.display_name,
        parent_management_group=record.parent,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        uid=record.uid,
        etag=etag_of(record.version, record.uid),
    )


def subscription(record: Subscription) -> subscription_pb2.Subscription:
    """Answer a subscription."""
    return subscription_pb2.Subscription(
        name=record.name,
        display_name=record.display_name,
        tenant=record.tenant,
        parent_management_group=record.parent,
        state=_STATES[record.state],
        tags=record.tags,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        uid=record.uid,
        etag=etag_of(record.version, record.uid),
    )


def new_user(message: user_pb2.User, name: str) -> NewPrincipal:
    """Read a user to be created."""
    return NewPrincipal(
        name=name,
        kind=PrincipalKind.USER,
        display_name=message.display_name,
        user_principal_name=message.user_principal_name,
        issuer=message.external_identity.issuer,
        subject=message.external_identity.subject,
        enabled=message.account_enabled if message.HasField("account_enabled") else True,
    )


def new_group(message: group_pb2.Group, name: str) -> NewPrincipal:
    """Read a group to be created."""
    return NewPrincipal(
        name=name,
        kind=PrincipalKind.GROUP,
        display_name=message.display_name,
        description=message.description,
    )


def new_service_principal(
    message: service_principal_pb2.ServicePrincipal, name: str
) -> NewPrincipal:
    """Read a service principal to be created."""
    return NewPrincipal(
        name=name,
        kind=PrincipalKind.SERVICE_PRINCIPAL,
        display_name=message.display_name,
        description=message.description,
        issuer=message.external_identity.issuer,
        subject=message.external_identity.subject,
        enabled=message.account_enabled if message.HasField("account_enabled") else True,
    )


def user(record: Principal) -> user_pb2.User:
    """Answer a user."""
    return user_pb2.User(
        name=record.name,
        display_name=record.display_name,
        user_principal_name=record.user_principal_name,
        external_identity=_external(record),
        account_enabled=record.enabled,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        uid=record.uid,
        etag=etag_of(record.version, record.uid),
    )


def group(record: Principal) -> group_pb2.Group:
    """Answer a group, without its members."""
    return group_pb2.Group(
        name=record.name,
        display_name=record.display_name,
        description=record.description,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        uid=record.uid,
        etag=etag_of(record.version, record.uid),
    )


def service_principal(record: Principal) -> service_principal_pb2.ServicePrincipal:
    """Answer a service principal."""
    return service_principal_pb2.ServicePrincipal(
        name=record.name,
        display_name=record.display_name,
        description=record.description,
        external_identity=_external(record),
        account_enabled=record.enabled,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        uid=record.uid,
        etag=etag_of(record.version, record.uid),
    )


def _external(record: Principal) -> principal_pb2.ExternalIdentity | None:
    if not record.issuer:
        return None
    return principal_pb2.ExternalIdentity(issuer=record.issuer, subject=record.subject)


def sent_tenant(message: tenant_pb2.Tenant) -> dict[str, Any]:
    """Answer what was sent of a tenant, by the paths of its fields that can be set."""
    given = message.community_sharing
    return {
        "display_name": message.display_name,
        # A number that is none of the enum is noted by the contract itself.
        "community_sharing": COMMUNITY.get(given) if given else None,
    }


def sent_management_group(message: management_group_pb2.ManagementGroup) -> dict[str, Any]:
    """Answer what was sent of a management group."""
    return {
        "display_name": message.display_name,
        "parent_management_group": message.parent_management_group,
    }


def sent_subscription(message: subscription_pb2.Subscription) -> dict[str, Any]:
    """Answer what was sent of a subscription."""
    return {
        "display_name": message.display_name,
        "tenant": message.tenant,
        "parent_management_group": message.parent_management_group,
        "tags": dict(message.tags),
    }


def sent_principal(
    message: user_pb2.User | group_pb2.Group | service_principal_pb2.ServicePrincipal,
) -> dict[str, Any]:
    """Answer what was sent of a principal: of each kind, the fields that it has."""
    sent: dict[str, Any] = {"display_name": message.display_name}
    if not isinstance(message, user_pb2.User):
        sent["description"] = message.description
    else:
        sent["user_principal_name"] = message.user_principal_name
    if not isinstance(message, group_pb2.Group):
        external, has = message.external_identity, message.HasField("account_enabled")
        sent["account_enabled"] = message.account_enabled if has else None
        sent["external_identity"] = {"issuer": external.issuer, "subject": external.subject}
    return sent
