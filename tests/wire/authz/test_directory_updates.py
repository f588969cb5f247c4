import uuid
from typing import Any

import grpc
import pytest
from stoa.authz.v1 import (
    group_pb2,
    management_group_pb2,
    principal_pb2,
    service_principal_pb2,
    subscription_pb2,
    tenant_pb2,
    user_pb2,
)
from stoa.authz.v1 import role_assignment_service_pb2 as assignments

from services.policy.builtin_roles import USER_ACCESS_ADMINISTRATOR
from tests.wire.authz.installation import ROLES, Installation, refused
from tests.wire.authz.roles import allowed, create, role

Code = grpc.StatusCode
Tenant = tenant_pb2.Tenant
Group = management_group_pb2.ManagementGroup
ROOT = "tenants/default/managementGroups/default"
ADMINISTRATOR = f"roleDefinitions/{USER_ACCESS_ADMINISTRATOR.id}"
REQUESTS: dict[str, Any] = {
    "Tenant": tenant_pb2.UpdateTenantRequest,
    "ManagementGroup": management_group_pb2.UpdateManagementGroupRequest,
    "Subscription": subscription_pb2.UpdateSubscriptionRequest,
    "User": user_pb2.UpdateUserRequest,
    "Group": group_pb2.UpdateGroupRequest,
    "ServicePrincipal": service_principal_pb2.UpdateServicePrincipalRequest,
}


@pytest.fixture(scope="module")
def authz(tmp_path_factory):
    """An installation of its own: some who are made here may do much at the installation."""
    found = Installation(tmp_path_factory.mktemp("own"))
    yield found
    found.close()


def update(stubs, message, *paths: str, **more):
    kind = type(message).__name__
    field = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind)[1:]
    request = REQUESTS[kind](**{field: message}, **more)
    request.update_mask.paths.extend(paths)
    return getattr(stubs.directory, f"Update{kind}")(request)


def new_tenant(world):
    return world.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=world.id("tenant-"),
            tenant=Tenant(display_name="A tenant"),
            initial_owner=user_pb2.User(display_name="Ann", user_principal_name="ann@example.org"),
            initial_owner_id="ann",
        )
    )


def new_group(world, above: str = ROOT):
    return world.owner.directory.CreateManagementGroup(
        management_group_pb2.CreateManagementGroupRequest(
            parent="tenants/default",
            management_group_id=world.id("mg-"),
            management_group=Group(display_name="A group", parent_management_group=above),
        )
    )


def subscription_of(world, name: str):
    return world.owner.directory.GetSubscription(subscription_pb2.GetSubscriptionRequest(name=name))


def give(world, stubs, principal: str, named: str, scope: str) -> None:
    stubs.assignments.CreateRoleAssignment(world.assignment(principal, named, scope))


def take_owners(stubs, scope: str) -> None:
    listed = stubs.assignments.ListRoleAssignments(
        assignments.ListRoleAssignmentsRequest(
            parent=scope, filter=f'role_definition = "{ROLES["Owner"]}"'
        )
    )
    for one in listed.role_assignments:
        stubs.assignments.DeleteRoleAssignment(
            assignments.DeleteRoleAssignmentRequest(name=one.name)
        )


def everything(world) -> list[Any]:
    """One of each kind of entry, as it is."""
    directory = world.owner.directory
    return [
        new_tenant(world),
        new_group(world),
        subscription_of(world, world.subscription()),
        directory.GetUser(user_pb2.GetUserRequest(name=world.user())),
        directory.GetGroup(group_pb2.GetGroupRequest(name=world.group())),
        directory.GetServicePrincipal(
            service_principal_pb2.GetServicePrincipalRequest(name=world.service_principal())
        ),
    ]


@pytest.mark.parametrize("position", range(len(REQUESTS)), ids=REQUESTS)
def test_every_entry_is_changed_by_mask_etag_and_request_id(world, position):
    before = everything(world)[position]
    sent = type(before)(name=before.name, display_name="Renamed", etag=before.etag)
    request_id = str(uuid.uuid4())
    after = update(world.owner, sent, request_id=request_id)
    assert after.display_name == "Renamed"
    assert after.etag != before.etag
    assert after.update_time.ToDatetime() > before.update_time.ToDatetime()
    untouched = type(before).FromString(after.SerializeToString())
    untouched.display_name, untouched.etag = before.display_name, before.etag
    untouched.update_time.CopyFrom(before.update_time)
    assert untouched == before
    assert update(world.owner, sent, request_id=request_id) == after
    sent.display_name = "Again"
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        update(world.owner, sent, request_id=request_id)
    with refused(Code.ABORTED, "ETAG_MISMATCH") as refusal:
        update(world.owner, sent)
    assert refusal.info.metadata["etag"] == after.etag
    sent.etag = ""
    sent.display_name = after.display_name
    assert update(world.owner, sent, "display_name") == after


@pytest.mark.parametrize("position", range(len(REQUESTS)), ids=REQUESTS)
def test_every_update_says_what_is_wrong_with_it(world, position):
    before = everything(world)[position]
    kind = type(before).__name__
    sent = type(before)(name=before.name)
    with refused(Code.INVALID_ARGUMENT) as refusal:
        update(world.owner, sent, "display_name", "colour", request_id="x")
    assert {one.rpartition(".")[2] for one in refusal.fields} == {
        "display_name",
        "update_mask",
        "request_id",
    }
    stranger = world.called(world.user())
    missing = type(before)(name=before.name[:-1] + "-unknown", display_name="x")
    for stubs, message in ((stranger, before), (stranger, missing)):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            update(stubs, message, "display_name")
        assert refusal.info.metadata["resource"] == message.name
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        update(administrator(world) if kind != "Tenant" else world.owner, missing, "display_name")
    with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
        update(world.installation.nobody(), before)


def administrator(world):
    """Somebody who may do everything to what is in a tenant, and to subscriptions anywhere."""
    user = world.user()
    world.assign(user, ROLES["Contributor"], "/")
    return world.called(user)


def test_who_may_give_roles_sets_what_may_become_public(authz, world):
    tenant = new_tenant(world)
    ann = authz.user("ann", tenant.name.rpartition("/")[2])
    tenant.community_sharing = Tenant.COMMUNITY_SHARING_FORBIDDEN
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
        update(administrator(world), tenant, "community_sharing")
    assert refusal.info.metadata["permission"] == "Microsoft.Authorization/roleAssignments/write"
    forbidden = update(ann, tenant)
    assert forbidden.community_sharing == Tenant.COMMUNITY_SHARING_FORBIDDEN
    # Who changes something else sends it as it is.
    forbidden.display_name = "Renamed"
    assert update(administrator(world), forbidden, "*").display_name == "Renamed"
    for value in (Tenant.COMMUNITY_SHARING_SIMULATION_REQUIRED, Tenant.COMMUNITY_SHARING_ALLOWED):
        changed = Tenant(name=tenant.name, community_sharing=value)
        assert update(ann, changed).community_sharing == value
    tenant.etag = ""
    update(ann, tenant, "community_sharing")
    absent = Tenant(name=tenant.name)
    after = update(ann, absent, "community_sharing")
    assert after.community_sharing == Tenant.COMMUNITY_SHARING_ALLOWED


def test_tags_are_changed_as_a_whole_or_key_by_key(world):
    subscription = subscription_of(world, world.subscription())
    subscription.tags.update({"cost.center": "42", "env": "dev"})
    subscription = update(world.owner, subscription, "tags")
    sent = subscription_pb2.Subscription(
        name=subscription.name, tags={"env": "prod", "cost.center": "43", "new": "1"}
    )
    after = update(world.owner, sent, "tags.env", "tags.new")
    assert dict(after.tags) == {"cost.center": "42", "env": "prod", "new": "1"}
    after = update(world.owner, subscription_pb2.Subscription(name=sent.name), "tags.cost.center")
    assert dict(after.tags) == {"env": "prod", "new": "1"}
    many = subscription_pb2.Subscription(
        name=sent.name, tags={f"k{number}": "" for number in range(50)}
    )
    with refused(Code.INVALID_ARGUMENT) as refusal:
        update(world.owner, many, *(f"tags.{one}" for one in many.tags))
    assert list(refusal.fields) == ["subscription.tags"]
    assert len(update(world.owner, many, "tags").tags) == 50
    emptied = subscription_pb2.Subscription(name=sent.name, display_name="Emptied")
    assert not update(world.owner, emptied, "*").tags


def test_the_tenant_of_a_subscription_stays_however_it_is_spelled(world):
    subscription = subscription_of(world, world.subscription())
    subscription.tenant = "tenants/DEFAULT"
    subscription.display_name = "Renamed"
    assert update(world.owner, subscription).tenant == "tenants/default"
    subscription.tenant = new_tenant(world).name
    subscription.etag = ""
    with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as refusal:
        update(world.owner, subscription, "tenant")
    assert refusal.info.metadata["field"] == "tenant"
    # What is output only is not read.
    subscription.state = subscription_pb2.Subscription.STATE_DISABLED
    after = update(world.owner, subscription, "state", "display_name")
    assert after.state == subscription_pb2.Subscription.STATE_ENABLED


def test_a_management_group_is_moved_with_all_below_it(world):
    left, entered = new_group(world), new_group(world)
    moved = new_group(world, left.name)
    below = new_group(world, moved.name)
    subscription = subscription_of(world, world.subscription())
    subscription.parent_management_group = below.name
    update(world.owner, subscription, "parent_management_group")
    one, two = world.user(), world.user()
    world.assign(one, "Reader", left.name)
    world.assign(two, "Reader", entered.name)
    for name in (subscription.name, f"{subscription.name}/resourceGroups/rg"):
        assert allowed(world.called(one), name)
        assert not allowed(world.called(two), name)
    moved.parent_management_group = entered.name
    after = update(world.owner, moved)
    assert after.parent_management_group == entered.name
    for name in (subscription.name, f"{subscription.name}/resourceGroups/rg"):
        assert not allowed(world.called(one), name)
        assert allowed(world.called(two), name)


def test_a_management_group_stays_in_its_tree(world):
    chain = [new_group(world)]
    for _ in range(4):
        chain.append(new_group(world, chain[-1].name))
    side = [new_group(world)]
    side.append(new_group(world, side[0].name))
    side[0].parent_management_group = chain[4].name
    with refused(Code.FAILED_PRECONDITION, "MANAGEMENT_GROUP_TOO_DEEP") as refusal:
        update(world.owner, side[0])
    assert dict(refusal.info.metadata) == {"management_group": side[0].name, "limit": "6"}
    side[0].parent_management_group = chain[3].name
    assert update(world.owner, side[0]).parent_management_group == chain[3].name
    for above in (chain[0], side[1]):
        chain[0].parent_management_group = above.name
        with refused(Code.FAILED_PRECONDITION, "MANAGEMENT_GROUP_CYCLE") as refusal:
            update(world.owner, chain[0])
        assert refusal.info.metadata["management_group"] == chain[0].name
    with refused(Code.FAILED_PRECONDITION, "ROOT_MANAGEMENT_GROUP"):
        update(world.owner, Group(name=ROOT, parent_management_group=chain[0].name))
    root = update(world.owner, Group(name=ROOT, display_name="The top"), "*")
    assert (root.display_name, root.parent_management_group) == ("The top", "")
    with refused(Code.INVALID_ARGUMENT) as refusal:
        update(world.owner, Group(name=chain[0].name), "parent_management_group")
    assert list(refusal.fields) == ["management_group.parent_management_group"]


def test_the_parent_is_there_and_in_the_same_tenant(world):
    user = world.user()
    for scope in ("/", "tenants/default"):
        world.assign(user, "Contributor", scope)
        world.assign(user, ADMINISTRATOR, scope)
    stubs = world.called(user)
    other = new_tenant(world)
    moving = [new_group(world), subscription_of(world, world.subscription())]
    for message in moving:
        for above in ("tenants/default/managementGroups/unknown", other.root_management_group):
            message.parent_management_group = above
            with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND") as refusal:
                update(stubs, message)
            assert refusal.info.metadata["resource"] == above
        message.parent_management_group = "subscriptions/x"
        with refused(Code.INVALID_ARGUMENT) as refusal:
            update(stubs, message)
        assert [one.rpartition(".")[2] for one in refusal.fields] == ["parent_management_group"]


def test_a_move_needs_the_right_on_both_sides_and_to_give_roles(world):
    left, entered = new_group(world), new_group(world)
    moving = [new_group(world, left.name), subscription_of(world, world.subscription())]
    moving[1].parent_management_group = left.name
    moving[1] = update(world.owner, moving[1])
    for message in moving:
        user = world.user()
        stubs = world.called(user)
        world.assign(user, "Contributor", message.name)
        message.parent_management_group = entered.name
        needed = (
            ("Stoa.Directory/managementGroups/write", left.name),
            ("Stoa.Directory/managementGroups/write", entered.name),
            ("Microsoft.Authorization/roleAssignments/write", message.name),
        )
        for action, scope in needed:
            with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
                update(stubs, message)
            assert dict(refusal.info.metadata) == {"permission": action, "resource": scope}
            narrow = create(world.owner, role(world, "tenants/default", actions=[action]))
            world.assign(user, narrow.name, scope)
        assert update(stubs, message).parent_management_group == entered.name


def test_without_a_parent_a_subscription_lies_in_the_root(world):
    subscription = subscription_of(world, world.subscription())
    subscription.parent_management_group = new_group(world).name
    moved = update(world.owner, subscription)
    assert moved.parent_management_group == subscription.parent_management_group
    subscription = subscription_pb2.Subscription(name=moved.name)
    assert update(world.owner, subscription, "parent_management_group").parent_management_group == (
        ROOT
    )


def test_a_move_leaves_no_subscription_without_an_owner(authz, world):
    tenant = new_tenant(world)
    ann = authz.user("ann", tenant.name.rpartition("/")[2])
    made = ann.directory.CreateManagementGroup(
        management_group_pb2.CreateManagementGroupRequest(
            parent=tenant.name,
            management_group_id="held",
            management_group=Group(
                display_name="Held", parent_management_group=tenant.root_management_group
            ),
        )
    )
    subscription = ann.directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=world.id("sub-"),
            subscription=subscription_pb2.Subscription(
                display_name="S", tenant=tenant.name, parent_management_group=made.name
            ),
        )
    )
    owner = f"{tenant.name}/users/ann"
    give(world, ann, owner, ROLES["Owner"], made.name)
    give(world, ann, owner, ADMINISTRATOR, tenant.name)
    give(world, ann, owner, ROLES["Contributor"], tenant.name)
    take_owners(ann, tenant.name)
    subscription.parent_management_group = tenant.root_management_group
    with refused(Code.FAILED_PRECONDITION, "LAST_OWNER") as refusal:
        update(ann, subscription, "parent_management_group")
    assert refusal.info.metadata["subscription"] == subscription.name


@pytest.mark.parametrize("kind", ["user", "service_principal"])
def test_a_disabled_account_may_do_nothing_and_keeps_what_it_was_granted(world, kind):
    name, subscription = getattr(world, kind)(), world.subscription()
    messages: dict[str, Any] = {
        "user": user_pb2.User,
        "service_principal": service_principal_pb2.ServicePrincipal,
    }
    world.assign(name, "Reader", subscription)
    assert allowed(world.called(name), subscription)
    off = update(
        world.owner, messages[kind](name=name, account_enabled=False), wait_for_replicas=True
    )
    assert not off.account_enabled
    assert not allowed(world.called(name), subscription)
    # Absent means that it is enabled.
    on = update(world.owner, messages[kind](name=name), "account_enabled")
    assert on.account_enabled
    assert allowed(world.called(name), subscription)


def test_the_last_owner_is_not_disabled(authz, world):
    tenant = new_tenant(world)
    ann = authz.user("ann", tenant.name.rpartition("/")[2])
    subscription = ann.directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=world.id("sub-"),
            subscription=subscription_pb2.Subscription(display_name="S", tenant=tenant.name),
        )
    )
    owner = user_pb2.User(name=f"{tenant.name}/users/ann", account_enabled=False)
    with refused(Code.FAILED_PRECONDITION, "LAST_OWNER") as refusal:
        update(ann, owner)
    assert refusal.info.metadata["subscription"] == subscription.name
    robot = ann.directory.CreateServicePrincipal(
        service_principal_pb2.CreateServicePrincipalRequest(
            parent=tenant.name,
            service_principal=service_principal_pb2.ServicePrincipal(display_name="Robot"),
        )
    )
    give(world, ann, robot.name, ROLES["Owner"], subscription.name)
    assert not update(ann, owner).account_enabled
    robot.account_enabled = False
    with refused(Code.FAILED_PRECONDITION, "LAST_OWNER"):
        update(administrator(world), robot)


def test_a_principal_name_is_taken_by_one_user(world):
    directory = world.owner.directory
    one = directory.GetUser(user_pb2.GetUserRequest(name=world.user()))
    two = directory.GetUser(user_pb2.GetUserRequest(name=world.user()))
    two.user_principal_name = one.user_principal_name.upper()
    with refused(Code.ALREADY_EXISTS, "USER_PRINCIPAL_NAME_TAKEN") as refusal:
        update(world.owner, two)
    assert refusal.info.metadata["user_principal_name"] == two.user_principal_name
    one.user_principal_name = two.user_principal_name
    assert update(world.owner, one).user_principal_name == one.user_principal_name
    one.etag = ""
    one.user_principal_name = f"{world.id('new')}@example.org"
    update(world.owner, one)
    assert update(world.owner, two).user_principal_name == two.user_principal_name


def test_nobody_becomes_another_identity_elsewhere(world):
    issuer = world.installation.config.token_issuer
    for name, message in (
        (world.user(), user_pb2.User),
        (world.service_principal(), service_principal_pb2.ServicePrincipal),
    ):
        external = principal_pb2.ExternalIdentity(issuer=issuer, subject=world.id("subject"))
        sent = message(name=name, display_name="x", external_identity=external)
        for mask in ((), ("external_identity",), ("external_identity.subject",)):
            with refused(Code.FAILED_PRECONDITION, "PROPERTY_CHANGE_NOT_ALLOWED") as refusal:
                update(world.owner, sent, *mask)
            assert "external_identity.subject" in refusal.info.metadata["field"]


def test_descriptions_are_changed_and_cleared(world):
    for name, message in (
        (world.group(), group_pb2.Group),
        (world.service_principal(), service_principal_pb2.ServicePrincipal),
    ):
        sent = message(name=name, description="What it is for")
        assert update(world.owner, sent).description == "What it is for"
        sent.description = ""
        assert update(world.owner, sent, "description").description == ""


def test_the_list_of_management_groups_does_not_tell_which_tenants_there_are(world):
    tenant = new_tenant(world).name
    stranger, reader = world.called(world.user()), world.user()
    world.assign(reader, "Reader", "/")

    def listed(stubs, parent):
        request = management_group_pb2.ListManagementGroupsRequest(parent=parent)
        return stubs.directory.ListManagementGroups(request)

    assert listed(stranger, tenant) == listed(stranger, f"{tenant}-unknown")
    assert len(listed(world.called(reader), tenant).management_groups) == 1
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        listed(world.called(reader), f"{tenant}-unknown")


def test_the_custom_roles_of_a_tenant_go_with_it(authz, world):
    tenant = world.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=world.id("tenant-"), tenant=Tenant(display_name="Empty")
        )
    )
    user = world.user()
    world.assign(user, ADMINISTRATOR, "/")
    made = create(world.called(user), role(world, tenant.name))
    world.owner.directory.DeleteTenant(tenant_pb2.DeleteTenantRequest(name=tenant.name))
    facts = authz.stores.policy
    assert facts.read(lambda all_: all_.role_definition(made.name.lower())) is None


@pytest.mark.parametrize("number", [-1, 77])
def test_a_rule_for_the_community_that_there_is_not_is_refused(world, number):
    made = new_tenant(world)
    with refused(Code.INVALID_ARGUMENT) as found:
        update(world.owner, Tenant(name=made.name, community_sharing=number), "community_sharing")
    assert "tenant.community_sharing" in found.fields
