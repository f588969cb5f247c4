import uuid

import grpc
import pytest
from stoa.authz.v1 import (
    group_pb2,
    management_group_pb2,
    principal_pb2,
    role_definition_service_pb2,
    subscription_pb2,
    tenant_pb2,
    user_pb2,
)

from tests.wire.authz.installation import ROLES, refused

Code = grpc.StatusCode


def new_tenant(world, tenant_id: str, **more):
    return world.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=tenant_id, tenant=tenant_pb2.Tenant(display_name="A tenant"), **more
        )
    )


def test_a_tenant_comes_with_its_root_and_its_owner(authz, world):
    tenant_id = world.id("tenant-")
    tenant = new_tenant(
        world,
        tenant_id,
        initial_owner=user_pb2.User(display_name="Ann", user_principal_name="ann@example.org"),
        initial_owner_id="ann",
    )
    assert tenant.root_management_group == f"tenants/{tenant_id}/managementGroups/{tenant_id}"
    ann = authz.user("ann", tenant_id).directory
    assert ann.GetTenant(tenant_pb2.GetTenantRequest(name=tenant.name)) == tenant
    listed = ann.ListTenants(tenant_pb2.ListTenantsRequest()).tenants
    assert [one.name for one in listed] == [tenant.name]
    made = ann.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=world.id("sub-"),
            subscription=subscription_pb2.Subscription(display_name="S", tenant=tenant.name),
        )
    )
    assert made.state == subscription_pb2.Subscription.STATE_ENABLED
    assert made.parent_management_group == tenant.root_management_group
    with refused(Code.PERMISSION_DENIED):
        ann.GetTenant(tenant_pb2.GetTenantRequest(name="tenants/default"))
    with refused(Code.PERMISSION_DENIED):
        ann.CreateTenant(
            tenant_pb2.CreateTenantRequest(tenant=tenant_pb2.Tenant(display_name="Mine"))
        )


def test_an_empty_tenant_goes_and_its_id_never_comes_back(world):
    tenant_id = world.id("tenant-")
    tenant = new_tenant(world, tenant_id)
    world.owner.directory.DeleteTenant(tenant_pb2.DeleteTenantRequest(name=tenant.name))
    with refused(Code.ALREADY_EXISTS, "ID_USED_BEFORE"):
        new_tenant(world, tenant_id.upper())
    with refused(Code.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY"):
        world.owner.directory.DeleteTenant(tenant_pb2.DeleteTenantRequest(name="tenants/default"))


def test_what_is_inherited_follows_the_tree_of_management_groups(world):
    above = "tenants/default/managementGroups/default"
    names = []
    for _ in range(6):
        made = world.owner.directory.CreateManagementGroup(
            management_group_pb2.CreateManagementGroupRequest(
                parent="tenants/default",
                management_group_id=world.id("mg-"),
                management_group=management_group_pb2.ManagementGroup(
                    display_name="Below", parent_management_group=above
                ),
            )
        )
        above = made.name
        names.append(made.name)
    with refused(Code.FAILED_PRECONDITION, "MANAGEMENT_GROUP_TOO_DEEP"):
        world.owner.directory.CreateManagementGroup(
            management_group_pb2.CreateManagementGroupRequest(
                parent="tenants/default",
                management_group_id=world.id("mg-"),
                management_group=management_group_pb2.ManagementGroup(
                    display_name="Too deep", parent_management_group=above
                ),
            )
        )
    subscription = world.owner.directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription=subscription_pb2.Subscription(
                display_name="Deep", tenant="tenants/default", parent_management_group=above
            )
        )
    ).name
    user = world.user()
    world.assign(user, "Reader", names[2])
    directory = world.called(user).directory
    found = directory.ListSubscriptions(subscription_pb2.ListSubscriptionsRequest()).subscriptions
    assert [one.name for one in found] == [subscription]
    with refused(Code.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY") as refusal:
        world.owner.directory.DeleteManagementGroup(
            management_group_pb2.DeleteManagementGroupRequest(name=above)
        )
    assert refusal.info.metadata["children"] == subscription
    groups = directory.ListManagementGroups(
        management_group_pb2.ListManagementGroupsRequest(parent="tenants/default")
    ).management_groups
    assert {one.name for one in groups} == set(names[2:])


def test_the_root_management_group_goes_with_its_tenant_alone(world):
    with refused(Code.FAILED_PRECONDITION, "ROOT_MANAGEMENT_GROUP"):
        world.owner.directory.DeleteManagementGroup(
            management_group_pb2.DeleteManagementGroupRequest(
                name="tenants/default/managementGroups/default"
            )
        )


def test_subscriptions_are_listed_where_anything_is_held(world):
    user = world.user()
    one, other, unseen = (world.subscription() for _ in range(3))
    world.assign(user, "Reader", one)
    world.assign(world.group(user), "Reader", f"{other}/resourceGroups/rg/galleries/g")
    directory = world.called(user).directory
    found = directory.ListSubscriptions(subscription_pb2.ListSubscriptionsRequest()).subscriptions
    assert {each.name for each in found} == {one, other}
    request = subscription_pb2.GetSubscriptionRequest(name=other)
    assert directory.GetSubscription(request).name == other
    for hidden in (unseen, "subscriptions/unknown"):
        with refused(Code.PERMISSION_DENIED):
            directory.GetSubscription(subscription_pb2.GetSubscriptionRequest(name=hidden))


def test_a_subscription_is_disabled_and_enabled_again(world):
    directory = world.owner.directory
    name = world.subscription()
    off = directory.DisableSubscription(subscription_pb2.DisableSubscriptionRequest(name=name))
    assert off.state == subscription_pb2.Subscription.STATE_DISABLED
    again = subscription_pb2.DisableSubscriptionRequest(name=name)
    assert directory.DisableSubscription(again) == off
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        directory.EnableSubscription(
            subscription_pb2.EnableSubscriptionRequest(name=name, etag='"x"')
        )
    request = subscription_pb2.ListSubscriptionsRequest(filter="state = DISABLED")
    assert name in {one.name for one in directory.ListSubscriptions(request).subscriptions}
    on = directory.EnableSubscription(
        subscription_pb2.EnableSubscriptionRequest(name=name, etag=off.etag)
    )
    assert on.state == subscription_pb2.Subscription.STATE_ENABLED
    assert name not in {one.name for one in directory.ListSubscriptions(request).subscriptions}


def test_tags_of_subscriptions_are_filtered(world):
    made = world.owner.directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription=subscription_pb2.Subscription(
                display_name="T", tenant="tenants/default", tags={"cost.center": "42", "e": "p"}
            )
        )
    )
    for text in ('tags."cost.center" = 42', "tags:e", "tags.e = p AND display_name = T"):
        request = subscription_pb2.ListSubscriptionsRequest(filter=text)
        found = world.owner.directory.ListSubscriptions(request).subscriptions
        assert [one.name for one in found] == [made.name]


def test_an_id_belongs_to_one_principal_whatever_its_kind_for_ever(world):
    group = world.group()
    taken = group.rpartition("/")[2]
    request = user_pb2.CreateUserRequest(
        parent="tenants/default",
        user_id=taken.upper(),
        user=user_pb2.User(display_name="X", user_principal_name=f"{taken}@example.org"),
    )
    with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
        world.owner.directory.CreateUser(request)
    world.owner.directory.DeleteGroup(group_pb2.DeleteGroupRequest(name=group))
    with refused(Code.ALREADY_EXISTS, "ID_USED_BEFORE"):
        world.owner.directory.CreateUser(request)


def test_unique_properties_of_users_are_refused_twice(world):
    def create(upn: str, issuer: str = "", subject: str = ""):
        external = principal_pb2.ExternalIdentity(issuer=issuer, subject=subject)
        return world.owner.directory.CreateUser(
            user_pb2.CreateUserRequest(
                parent="tenants/default",
                user=user_pb2.User(
                    display_name="X",
                    user_principal_name=upn,
                    external_identity=external if issuer else None,
                ),
            )
        )

    issuer = world.installation.config.token_issuer
    create("one@example.org", issuer, "1")
    with refused(Code.ALREADY_EXISTS, "USER_PRINCIPAL_NAME_TAKEN"):
        create("ONE@example.org")
    with refused(Code.ALREADY_EXISTS, "EXTERNAL_IDENTITY_TAKEN"):
        create("two@example.org", issuer, "1")
    with refused(Code.FAILED_PRECONDITION, "ISSUER_NOT_TRUSTED"):
        create("three@example.org", "https://other.example", "1")
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        world.owner.directory.CreateUser(
            user_pb2.CreateUserRequest(
                parent="tenants/unknown",
                user=user_pb2.User(display_name="X", user_principal_name="x@example.org"),
            )
        )


def test_a_deleted_user_loses_everything_at_once(world):
    user, subscription = world.user(), world.subscription()
    group = world.group(user)
    world.assign(user, "Reader", subscription)
    world.owner.directory.DeleteUser(user_pb2.DeleteUserRequest(name=user))
    members = world.owner.directory.ListGroupMembers(
        group_pb2.ListGroupMembersRequest(group=group)
    ).group_members
    assert not members
    directory = world.called(user).directory
    found = directory.ListSubscriptions(subscription_pb2.ListSubscriptionsRequest()).subscriptions
    assert not found
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.owner.directory.GetUser(user_pb2.GetUserRequest(name=user))


def test_everybody_reads_themselves_and_nobody_else(world):
    user, other = world.user(), world.user()
    directory = world.called(user).directory
    assert directory.GetUser(user_pb2.GetUserRequest(name=user)).name == user
    with refused(Code.PERMISSION_DENIED):
        directory.GetUser(user_pb2.GetUserRequest(name=other))
    with refused(Code.PERMISSION_DENIED):
        directory.ListUsers(user_pb2.ListUsersRequest(parent="tenants/default"))
    everywhere = directory.ListUsers(user_pb2.ListUsersRequest(parent="tenants/-"))
    assert not everywhere.users


def test_members_are_listed_directly_and_through_groups(world):
    user, robot = world.user(), world.service_principal()
    inner = world.group(user)
    outer = world.group(inner, robot)
    world.owner.directory.AddGroupMembers(
        group_pb2.AddGroupMembersRequest(group=inner, members=[outer])
    )

    def listed(**more) -> dict[str, bool]:
        request = group_pb2.ListGroupMembersRequest(group=outer, **more)
        answer = world.owner.directory.ListGroupMembers(request)
        return {one.member: one.indirect for one in answer.group_members}

    assert listed() == {inner: False, robot: False}
    assert listed(transitive=True) == {inner: False, robot: False, user: True}
    assert listed(transitive=True, filter="member_type = USER") == {user: True}
    groups = world.owner.directory.ListGroups(
        group_pb2.ListGroupsRequest(
            parent="tenants/default", filter=f'transitive_member = "{user}"'
        )
    ).groups
    assert {one.name for one in groups} == {inner, outer}


def test_adding_again_counts_nobody_and_unknown_members_add_nobody(world):
    user = world.user()
    group = world.group(user)
    request = group_pb2.AddGroupMembersRequest(group=group, members=[user])
    assert world.owner.directory.AddGroupMembers(request).added_count == 0
    request.members.append("tenants/default/users/unknown")
    with refused(Code.NOT_FOUND, "PRINCIPAL_NOT_FOUND"):
        world.owner.directory.AddGroupMembers(request)


def test_who_could_not_give_what_a_group_holds_cannot_add_to_it(world):
    helper, subscription = world.user(), world.subscription()
    group = world.group()
    world.assign(helper, "Contributor", "tenants/default")
    request = group_pb2.AddGroupMembersRequest(group=group, members=[world.user()])
    assert world.called(helper).directory.AddGroupMembers(request).added_count == 1
    outer = world.group(group)
    world.assign(outer, "Owner", subscription)
    request.members[:] = [world.user()]
    with refused(Code.PERMISSION_DENIED) as refusal:
        world.called(helper).directory.AddGroupMembers(request)
    assert refusal.info.metadata["resource"] == subscription


def test_a_request_shows_all_that_is_wrong_with_it(world):
    with refused(Code.INVALID_ARGUMENT) as refusal:
        world.owner.directory.CreateUser(
            user_pb2.CreateUserRequest(
                parent="tenants/default",
                user_id="-x-",
                user=user_pb2.User(user_principal_name="nobody"),
                request_id="1",
            )
        )
    assert set(refusal.fields) == {
        "user_id",
        "user.display_name",
        "user.user_principal_name",
        "request_id",
    }


def test_a_repeated_create_answers_the_first_reply(world):
    request = subscription_pb2.CreateSubscriptionRequest(
        subscription=subscription_pb2.Subscription(display_name="S", tenant="tenants/default"),
        request_id=str(uuid.uuid4()),
    )
    first = world.owner.directory.CreateSubscription(request)
    request.subscription.tenant = "tenants/DEFAULT"
    assert world.owner.directory.CreateSubscription(request) == first


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_built_in_roles_are_there_for_everybody(world, size):
    roles = world.called(world.user()).roles
    found, token = [], ""
    while True:
        page = roles.ListRoleDefinitions(
            role_definition_service_pb2.ListRoleDefinitionsRequest(page_size=size, page_token=token)
        )
        found += [one.name for one in page.role_definitions]
        token = page.next_page_token
        if not token:
            break
    assert len(found) == len(set(found)) == 11
    assert set(ROLES.values()) < set(found)
    owner = roles.GetRoleDefinition(
        role_definition_service_pb2.GetRoleDefinitionRequest(
            name=ROLES["Owner"].upper().replace("ROLEDEFINITIONS", "roleDefinitions")
        )
    )
    assert owner.role_name == "Owner"
    assert [list(one.actions) for one in owner.permissions] == [["*"]]
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        roles.GetRoleDefinition(
            role_definition_service_pb2.GetRoleDefinitionRequest(name="roleDefinitions/none")
        )
