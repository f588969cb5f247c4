"""Writes a directory: tenants and what lies in them, and who there is."""

from collections.abc import Callable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from stoa.authz.v1 import (
    group_pb2,
    management_group_pb2,
    service_principal_pb2,
    subscription_pb2,
    tenant_pb2,
    user_pb2,
)

from services.policy.model import (
    ManagementGroup,
    Membership,
    Principal,
    PrincipalKind,
    Subscription,
    Tenant,
)
from tests.wire.authz.oracle.writing import Writer, last, spelled


class Directory:
    """Each method answers what it has written."""

    def __init__(self, by: Writer) -> None:
        self._by = by

    def tenant(self, record: Tenant) -> Tenant:
        self._by.owner.directory.CreateTenant(
            tenant_pb2.CreateTenantRequest(
                tenant_id=last(record.key), tenant=tenant_pb2.Tenant(display_name="A tenant")
            )
        )
        return record

    def management_group(self, record: ManagementGroup) -> ManagementGroup:
        if record.parent is None:
            return record  # It came with the tenant.
        group = management_group_pb2.ManagementGroup(
            display_name="A group", parent_management_group=spelled(record.parent)
        )
        if record.key in self._by.world.management_groups:
            group.name = spelled(record.key)
            self._by.owner.directory.UpdateManagementGroup(
                management_group_pb2.UpdateManagementGroupRequest(
                    management_group=group, update_mask=FieldMask(paths=["parent_management_group"])
                )
            )
        else:
            self._by.owner.directory.CreateManagementGroup(
                management_group_pb2.CreateManagementGroupRequest(
                    parent=record.tenant,
                    management_group_id=last(record.key),
                    management_group=group,
                )
            )
        return record

    def subscription(self, record: Subscription) -> Subscription:
        found = subscription_pb2.Subscription(
            display_name="A subscription",
            tenant=record.tenant,
            parent_management_group=spelled(record.parent),
        )
        directory = self._by.owner.directory
        if record.key not in self._by.world.subscriptions:
            directory.CreateSubscription(
                subscription_pb2.CreateSubscriptionRequest(
                    subscription_id=last(record.key), subscription=found
                )
            )
        else:
            found.name = record.key
            directory.UpdateSubscription(
                subscription_pb2.UpdateSubscriptionRequest(
                    subscription=found, update_mask=FieldMask(paths=["parent_management_group"])
                )
            )
        if record.enabled:
            directory.EnableSubscription(
                subscription_pb2.EnableSubscriptionRequest(name=record.key)
            )
        else:
            directory.DisableSubscription(
                subscription_pb2.DisableSubscriptionRequest(name=record.key)
            )
        return record

    def principal(self, record: Principal) -> Principal:
        """Create a principal, or say whether one that is there may do anything."""
        parent = "/".join(record.key.split("/")[:2])
        name, new = last(record.key), record.key not in self._by.world.principals
        directory = self._by.owner.directory
        mask = FieldMask(paths=["account_enabled"])
        if record.kind is PrincipalKind.USER:
            user = user_pb2.User(
                display_name="A user",
                user_principal_name=f"{name}@example.org",
                account_enabled=record.enabled,
            )
            if new:
                directory.CreateUser(
                    user_pb2.CreateUserRequest(parent=parent, user_id=name, user=user)
                )
            else:
                user.name = record.key
                directory.UpdateUser(user_pb2.UpdateUserRequest(user=user, update_mask=mask))
        elif record.kind is PrincipalKind.SERVICE_PRINCIPAL:
            robot = service_principal_pb2.ServicePrincipal(
                display_name="A robot", account_enabled=record.enabled
            )
            if new:
                directory.CreateServicePrincipal(
                    service_principal_pb2.CreateServicePrincipalRequest(
                        parent=parent, service_principal_id=name, service_principal=robot
                    )
                )
            else:
                robot.name = spelled(record.key)
                directory.UpdateServicePrincipal(
                    service_principal_pb2.UpdateServicePrincipalRequest(
                        service_principal=robot, update_mask=mask
                    )
                )
        else:
            directory.CreateGroup(
                group_pb2.CreateGroupRequest(
                    parent=parent, group_id=name, group=group_pb2.Group(display_name="A group")
                )
            )
        return record

    def membership(self, record: Membership) -> Membership:
        self._by.owner.directory.AddGroupMembers(
            group_pb2.AddGroupMembersRequest(group=record.group, members=[spelled(record.member)])
        )
        return record

    def remove_member(self, membership: Membership) -> None:
        """Take somebody out of a group."""
        request = group_pb2.RemoveGroupMembersRequest(
            group=membership.group, members=[spelled(membership.member)]
        )
        remove = self._by.owner.directory.RemoveGroupMembers
        if self._by.attempt("member removed", lambda: remove(request)) is not None:
            del self._by.world.memberships[membership.group, membership.member]

    def delete_principal(self, principal: Principal) -> None:
        """Take a principal away, with what it held."""
        name, directory = spelled(principal.key), self._by.owner.directory
        calls: dict[PrincipalKind, Callable[[], Any]] = {
            PrincipalKind.USER: lambda: directory.DeleteUser(user_pb2.DeleteUserRequest(name=name)),
            PrincipalKind.GROUP: lambda: directory.DeleteGroup(
                group_pb2.DeleteGroupRequest(name=name)
            ),
            PrincipalKind.SERVICE_PRINCIPAL: lambda: directory.DeleteServicePrincipal(
                service_principal_pb2.DeleteServicePrincipalRequest(name=name)
            ),
        }
        if self._by.attempt("principal deleted", calls[principal.kind]) is not None:
            self._by.world.forget_principal(principal.key)

    def delete_management_group(self, group: ManagementGroup) -> None:
        """Take an empty management group away, with what was held at it."""
        request = management_group_pb2.DeleteManagementGroupRequest(name=spelled(group.key))
        delete = self._by.owner.directory.DeleteManagementGroup
        if self._by.attempt("management group deleted", lambda: delete(request)) is not None:
            del self._by.world.management_groups[group.key]
            self._by.world.forget(lambda scope, revision: scope == group.key)
