"""What the state of roles, assignments and the directory forbids; each test has its case's number.

The numbers are those of the specification's table. Sharing (83 to 86) is shown at the catalog,
delegation (80), eligible assignments (92) and lists of what is accessible (91) have files of
their own.
"""

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode

import grpc
import pytest
from stoa.authz.v1 import (
    check_pb2,
    consistency_pb2,
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    group_pb2,
    management_group_pb2,
    role_assignment_service_pb2,
    scope_service_pb2,
    subscription_pb2,
    tenant_pb2,
    user_pb2,
)

from services.authz.domain.records import Principal
from services.authz.ports.policy import Command
from services.kernel.ids import new_uid
from services.policy.model import PrincipalKind
from tests.wire.authz import roles
from tests.wire.authz.installation import Installation, World, refused
from tests.wire.authz.roles import GALLERY_READ, WRITE_ROLES, allowed, permission, role

Code = grpc.StatusCode
DATA = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
SERVICE = role_assignment_service_pb2.DESCRIPTOR.services_by_name["RoleAssignmentService"]


@pytest.fixture(scope="module")
def authz(tmp_path_factory):
    """An installation of its own: some who are made here may do much at the installation."""
    found = Installation(tmp_path_factory.mktemp("own"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An installation whose limits are reached soon."""
    found = Installation(
        tmp_path_factory.mktemp("small"),
        max_role_assignments_per_subscription=3,
        max_role_assignments_above=4,
        max_deny_assignments_per_subscription=2,
        max_deny_assignments_above=1,
        max_role_definitions=2,
        max_group_members=3,
        max_group_nesting=3,
    )
    yield World(found)
    found.close()


def management_group(world, above="tenants/default/managementGroups/default"):
    return world.owner.directory.CreateManagementGroup(
        management_group_pb2.CreateManagementGroupRequest(
            parent="tenants/default",
            management_group_id=world.id("mg-"),
            management_group=management_group_pb2.ManagementGroup(
                display_name="A group", parent_management_group=above
            ),
        )
    ).name


def take(stubs, assignment):
    return stubs.assignments.DeleteRoleAssignment(
        role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=assignment.name)
    )


def tenant_of_ann(authz, world):
    """A tenant with a subscription that Ann alone owns, through the tenant."""
    name = world.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=world.id("tenant-"),
            tenant=tenant_pb2.Tenant(display_name="A tenant"),
            initial_owner=user_pb2.User(display_name="Ann", user_principal_name="ann@example.org"),
            initial_owner_id="ann",
        )
    ).name
    ann = authz.user("ann", name.rpartition("/")[2])
    subscription = ann.directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=world.id("sub-"),
            subscription=subscription_pb2.Subscription(display_name="S", tenant=name),
        )
    ).name
    return ann, name, subscription


def deny(world, scope, **more):
    values = {
        "display_name": "A deny",
        "permissions": [permission("Microsoft.Compute/*/write")],
        "principals": ["tenants/default/users/owner"],
    }
    return world.owner.denies.CreateDenyAssignment(
        deny_assignment_service_pb2.CreateDenyAssignmentRequest(
            parent=scope, deny_assignment=deny_assignment_pb2.DenyAssignment(**(values | more))
        )
    )


def test_case_73_an_assignment_outside_the_scopes_of_its_role(world):
    inside, outside, user = world.subscription(), world.subscription(), world.user()
    made = roles.create(world.owner, role(world, f"{inside}/resourceGroups/rg"))
    for scope in (outside, inside, "tenants/default", f"{inside}/resourceGroups/other"):
        with refused(Code.FAILED_PRECONDITION, "ROLE_NOT_ASSIGNABLE") as refusal:
            world.assign(user, made.name, scope)
        assert dict(refusal.info.metadata) == {"role_definition": made.name, "scope": scope}
        assert f"{inside}/resourceGroups/rg" not in refusal.text
    for scope in (f"{inside}/resourceGroups/RG", f"{inside}/resourceGroups/rg/galleries/g"):
        assert world.assign(user, made.name, scope).role_definition == made.name


def test_case_74_scopes_narrowed_so_that_an_assignment_falls_outside(world):
    one, two, user = world.subscription(), world.subscription(), world.user()
    made = roles.create(world.owner, role(world, one, two))
    assigned = world.assign(user, made.name, f"{two}/resourceGroups/rg")
    made.assignable_scopes[:] = [one]
    with refused(Code.FAILED_PRECONDITION, "ASSIGNMENT_OUTSIDE_SCOPES") as refusal:
        roles.update(world.owner, made, "assignable_scopes")
    assert dict(refusal.info.metadata) == {"role_definition": made.name, "assignment_count": "1"}
    made.assignable_scopes[:] = [one, f"{two}/resourceGroups/rg"]
    made = roles.update(world.owner, made, "assignable_scopes")
    take(world.owner, assigned)
    made.assignable_scopes[:] = [one]
    assert list(roles.update(world.owner, made).assignable_scopes) == [one]


def test_case_75_a_role_that_somebody_has_is_not_deleted(world):
    subscription = world.subscription()
    made = roles.create(world.owner, role(world, subscription))
    assigned = [world.assign(world.user(), made.name, subscription) for _ in range(2)]
    with refused(Code.FAILED_PRECONDITION, "ROLE_DEFINITION_IN_USE") as refusal:
        roles.delete(world.owner, made.name)
    assert dict(refusal.info.metadata) == {"role_definition": made.name, "assignment_count": "2"}
    for one in assigned:
        take(world.owner, one)
    roles.delete(world.owner, made.name)


def test_case_76_roles_are_written_with_the_right_at_every_one_of_their_scopes(world):
    one, two, user = world.subscription(), world.subscription(), world.user()
    writer = roles.create(world.owner, role(world, one, actions=[WRITE_ROLES]))
    world.assign(user, writer.name, one)
    stubs = world.called(user)
    for scopes in ((one, two), (two, one), (one, "tenants/default")):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            roles.create(stubs, role(world, *scopes))
        assert refusal.info.metadata["resource"] == next(s for s in scopes if s != one)
    mine = roles.create(stubs, role(world, one))
    mine.assignable_scopes[:] = [one, two]
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        roles.update(stubs, mine, "assignable_scopes")
    mine = roles.update(world.owner, mine, "assignable_scopes")
    # As they are counts like as they become: who has one of two cannot take the other away.
    for after in ([one], [one, two]):
        mine.assignable_scopes[:] = after
        mine.permissions[0].actions[:] = ["*"]
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            roles.update(stubs, mine)
        assert refusal.info.metadata["resource"] == two
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        roles.delete(stubs, mine.name)


def test_case_77_data_actions_at_a_management_group(world):
    above, subscription, user = management_group(world), world.subscription(), world.user()
    reads = permission(GALLERY_READ, data=[DATA])
    made = roles.create(world.owner, role(world, "tenants/default", permissions=[reads]))
    for scope in (above, "tenants/default"):
        with refused(Code.FAILED_PRECONDITION, "DATA_ACTIONS_AT_MANAGEMENT_GROUP") as refusal:
            world.assign(user, made.name, scope)
        assert dict(refusal.info.metadata) == {"role_definition": made.name, "scope": scope}
    assert world.assign(user, made.name, subscription).scope == subscription
    plain = roles.create(world.owner, role(world, "tenants/default"))
    world.assign(user, plain.name, above)
    plain.permissions[0].CopyFrom(reads)
    with refused(Code.FAILED_PRECONDITION, "DATA_ACTIONS_AT_MANAGEMENT_GROUP") as refusal:
        roles.update(world.owner, plain, "permissions")
    assert dict(refusal.info.metadata) == {"role_definition": plain.name, "scope": above}


def test_case_78_an_assignment_is_never_changed_and_a_repeat_answers_the_first(world):
    assert not [one.name for one in SERVICE.methods if one.name.startswith("Update")]
    user, subscription, chosen = world.user(), world.subscription(), str(uuid.uuid4())
    request = world.assignment(
        user, "Reader", subscription, role_assignment_id=chosen, request_id=str(uuid.uuid4())
    )
    first = world.owner.assignments.CreateRoleAssignment(request)
    assert world.owner.assignments.CreateRoleAssignment(request) == first
    for changed in (
        world.assignment(world.user(), "Reader", subscription, role_assignment_id=chosen),
        world.assignment(user, "Contributor", subscription, role_assignment_id=chosen),
    ):
        with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
            world.owner.assignments.CreateRoleAssignment(changed)


def test_case_79_a_subscription_keeps_an_owner_whatever_is_taken_away(authz, world):
    ann, tenant, subscription = tenant_of_ann(authz, world)
    group = ann.directory.CreateGroup(
        group_pb2.CreateGroupRequest(parent=tenant, group=group_pb2.Group(display_name="Owners"))
    ).name
    bob = ann.directory.CreateUser(
        user_pb2.CreateUserRequest(
            parent=tenant,
            user_id="bob",
            user=user_pb2.User(display_name="Bob", user_principal_name="bob@example.org"),
        )
    ).name
    members = {"group": group, "members": [bob]}
    ann.directory.AddGroupMembers(group_pb2.AddGroupMembersRequest(**members))
    given = ann.assignments.CreateRoleAssignment(world.assignment(group, "Owner", subscription))
    # Those of the group own it now, and Ann may go.
    everybody = ann.assignments.ListRoleAssignments(
        role_assignment_service_pb2.ListRoleAssignmentsRequest(parent=tenant)
    ).role_assignments
    administrator = authz.user()
    world.assign(f"{tenant}/users/ann", "Contributor", "/")
    for one in everybody:
        take(administrator, one)
    attempts = (
        lambda: take(administrator, given),
        lambda: ann.directory.DeleteUser(user_pb2.DeleteUserRequest(name=bob)),
        lambda: ann.directory.UpdateUser(
            user_pb2.UpdateUserRequest(user=user_pb2.User(name=bob, account_enabled=False))
        ),
        lambda: ann.directory.DeleteGroup(group_pb2.DeleteGroupRequest(name=group)),
        lambda: ann.directory.RemoveGroupMembers(group_pb2.RemoveGroupMembersRequest(**members)),
    )
    for attempt in attempts:
        with refused(Code.FAILED_PRECONDITION, "LAST_OWNER") as refusal:
            attempt()
        assert refusal.info.metadata["subscription"] == subscription


def test_case_81_nobody_gives_themselves_a_role_above_their_own_scope(world):
    user = world.user()
    subscription = world.subscription()
    world.assign(user, "Owner", f"{subscription}/resourceGroups/rg")
    stubs = world.called(user)
    for scope in (subscription, "tenants/default/managementGroups/default", "tenants/default", "/"):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            stubs.assignments.CreateRoleAssignment(world.assignment(user, "Owner", scope))
        assert refusal.info.metadata["resource"] == scope
    beside = f"{subscription}/resourceGroups/rg2"
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        stubs.assignments.CreateRoleAssignment(world.assignment(user, "Owner", beside))


def test_t24_case_82_who_comes_after_under_the_same_name_holds_nothing(world):
    subscription = world.subscription()
    upn = f"{world.id('joiner')}@example.org"

    def join(user_id):
        return world.owner.directory.CreateUser(
            user_pb2.CreateUserRequest(
                parent="tenants/default",
                user_id=user_id,
                user=user_pb2.User(display_name="A joiner", user_principal_name=upn),
            )
        ).name

    first = join(world.id("joiner"))
    group = world.group(first)
    world.assign(first, "Reader", subscription)
    world.assign(group, "Contributor", subscription)
    assert allowed(world.called(first), subscription)
    world.owner.directory.DeleteUser(user_pb2.DeleteUserRequest(name=first))
    second = join(world.id("joiner"))
    assert not allowed(world.called(second), subscription)
    assert not allowed(world.called(first), subscription)
    with refused(Code.ALREADY_EXISTS):
        join(first.rpartition("/")[2])


def test_case_87_decisions_change_exactly_at_the_revision_of_a_move(world):
    left, entered, subscription = (
        management_group(world),
        management_group(world),
        world.subscription(),
    )
    losing, gaining = world.user(), world.user()
    world.assign(losing, "Reader", left)
    world.assign(gaining, "Reader", entered)
    deny(world, entered, permissions=[permission(GALLERY_READ)], principals=[losing])

    def moved(above):
        request = subscription_pb2.UpdateSubscriptionRequest(
            subscription=subscription_pb2.Subscription(
                name=subscription, parent_management_group=above
            )
        )
        _, call = world.owner.directory.UpdateSubscription.with_call(request)
        return dict(call.trailing_metadata())["x-consistency-token"]

    def reads(user, token):
        request = check_pb2.CheckRequest(
            action=GALLERY_READ,
            resource=f"{subscription}/resourceGroups/rg",
            consistency=consistency_pb2.Consistency(at_exact_snapshot=token),
        )
        return world.called(user).questions.Check(request).decision

    tokens = [moved(left), moved(entered), moved(left)]
    revisions = [reads(losing, token).revision for token in tokens]
    assert revisions == [revisions[0], revisions[0] + 1, revisions[0] + 2]
    assert [reads(losing, token).allowed for token in tokens] == [True, False, True]
    assert [reads(gaining, token).allowed for token in tokens] == [False, True, False]


def test_t24_case_88_what_was_granted_on_a_resource_does_not_come_back_with_its_name(authz, world):
    user = world.user()
    gallery = f"{world.subscription()}/resourceGroups/rg/galleries/g"
    world.assign(user, "Reader", gallery)
    deny(world, gallery, principals=[user])
    uid = new_uid()

    def bury(uid):
        return authz.service().scopes.TombstoneScope(
            scope_service_pb2.TombstoneScopeRequest(
                scope=gallery, resource_uid=uid, request_id=str(uuid.uuid4())
            )
        )

    assert bury(uid).removed_count == 2
    assert not allowed(world.called(user), gallery)
    # The next one of the name: what is granted on it stays whoever repeats the first burial.
    world.assign(user, "Contributor", gallery)
    assert bury(uid).removed_count == 2
    assert allowed(world.called(user), gallery)
    assert allowed(world.called(user), gallery, "Microsoft.Compute/galleries/write")


def test_t26_case_89_thousands_of_groups_forty_deep_and_none_cut_off(authz, world):
    user, subscription = world.user(), world.subscription()
    many = 5_000

    def fill(unit):
        member = unit.facts.principal(user.lower())
        for number in range(many):
            group = Principal(
                name=f"tenants/default/groups/case89-{number}",
                kind=PrincipalKind.GROUP,
                display_name="One of many",
                uid=new_uid(),
                create_time=unit.now,
                update_time=unit.now,
            )
            unit.put(group)
            # Forty in a row, the user in the first of them; all others hold the user.
            unit.join(group.name, [member])
            if number < 40:
                member = group
            elif number == 40:
                member = unit.facts.principal(user.lower())
        return b""

    authz.stores.policy.write(Command("fill", "tenants/default"), fill, lambda answer: answer)
    stubs = world.called(user)
    assert not allowed(stubs, subscription)
    world.assign("tenants/default/groups/case89-39", "Reader", f"{subscription}/resourceGroups/a")
    world.assign(f"tenants/default/groups/case89-{many - 1}", "Reader", subscription)
    assert allowed(stubs, f"{subscription}/resourceGroups/a")
    assert allowed(stubs, subscription)


def test_case_89_nesting_beyond_the_limit_is_refused_when_it_is_written(small):
    groups = [small.group() for _ in range(5)]
    for below, above in zip(groups[1:4], groups[0:3], strict=True):
        small.owner.directory.AddGroupMembers(
            group_pb2.AddGroupMembersRequest(group=above, members=[below])
        )
    for above, below in ((groups[3], groups[4]), (groups[4], groups[0])):
        with refused(Code.FAILED_PRECONDITION, "GROUP_NESTING_TOO_DEEP") as refusal:
            small.owner.directory.AddGroupMembers(
                group_pb2.AddGroupMembersRequest(group=above, members=[below])
            )
        assert dict(refusal.info.metadata) == {"group": above, "limit": "3"}
    members = small.owner.directory.ListGroupMembers(
        group_pb2.ListGroupMembersRequest(group=groups[3])
    ).group_members
    assert not members
    user = small.user()
    small.owner.directory.AddGroupMembers(
        group_pb2.AddGroupMembersRequest(group=groups[3], members=[user])
    )
    subscription = small.subscription()
    small.assign(groups[0], "Reader", subscription)
    assert allowed(small.called(user), subscription)


def test_case_90_tokens_of_elsewhere_forged_or_of_the_future(world, small):
    def check(token, demand):
        request = check_pb2.CheckRequest(
            action=GALLERY_READ,
            resource="subscriptions/default",
            consistency=consistency_pb2.Consistency(**{demand: token}),
        )
        return world.owner.questions.Check(request).decision

    own = check_pb2.CheckRequest(action=GALLERY_READ, resource="subscriptions/default")
    good = world.owner.questions.Check(own).decision.evaluated_at
    elsewhere = small.owner.questions.Check(own).decision.evaluated_at
    for demand in ("at_least_as_fresh", "at_exact_snapshot"):
        assert check(good, demand).allowed
        for bad in (elsewhere, f"{good}!", "x", *_forged(good)):
            with refused(Code.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID"):
                check(bad, demand)


def _forged(token):
    """Tokens of another version, installation, epoch and of a revision that is to come."""
    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    form, installation, epoch, revision = raw.split(":")
    for parts in (
        ("2", installation, epoch, revision),
        (form, installation[::-1], epoch, revision),
        (form, installation, f"{int(epoch) + 1}", revision),
        (form, installation, epoch, f"{int(revision) + 10**6}"),
        (form, installation, epoch, f"0{revision}"),
    ):
        yield urlsafe_b64encode(":".join(parts).encode()).rstrip(b"=").decode()


def test_assignments_of_a_subscription_and_of_what_is_above_are_limited(small):
    subscription = small.subscription()
    below = [subscription, f"{subscription}/resourceGroups/a", f"{subscription}/resourceGroups/b"]
    made = [small.assign(small.user(), "Reader", scope) for scope in below]
    with refused(Code.RESOURCE_EXHAUSTED, "ROLE_ASSIGNMENT_LIMIT_EXCEEDED") as refusal:
        small.assign(small.user(), "Reader", below[1])
    assert dict(refusal.info.metadata) == {"scope": subscription, "limit": "3"}
    assert refusal.quotas == [subscription]
    take(small.owner, made[0])
    small.assign(small.user(), "Reader", below[1])
    small.assign(small.user(), "Reader", small.subscription())
    above = management_group(small)
    for _ in range(4):
        small.assign(small.user(), "Reader", above)
    with refused(Code.RESOURCE_EXHAUSTED, "ROLE_ASSIGNMENT_LIMIT_EXCEEDED") as refusal:
        small.assign(small.user(), "Reader", above)
    assert dict(refusal.info.metadata) == {"scope": above.lower(), "limit": "4"}
    # What lies below a management group counts there and not here.
    small.assign(small.user(), "Reader", management_group(small, above))


def test_deny_assignments_are_limited(small):
    subscription, above = small.subscription(), management_group(small)
    for scope in (subscription, f"{subscription}/resourceGroups/a", above):
        deny(small, scope)
    for scope, where, limit in ((subscription, subscription, "2"), (above, above.lower(), "1")):
        with refused(Code.RESOURCE_EXHAUSTED, "DENY_ASSIGNMENT_LIMIT_EXCEEDED") as refusal:
            deny(small, scope)
        assert dict(refusal.info.metadata) == {"scope": where, "limit": limit}
        assert refusal.quotas == [where]


def test_custom_roles_of_a_tenant_are_limited(small):
    subscription = small.subscription()
    made = [roles.create(small.owner, role(small, subscription)) for _ in range(2)]
    with refused(Code.RESOURCE_EXHAUSTED, "ROLE_DEFINITION_LIMIT_EXCEEDED") as refusal:
        roles.create(small.owner, role(small, subscription))
    assert dict(refusal.info.metadata) == {"tenant": "tenants/default", "limit": "2"}
    assert refusal.quotas == ["tenants/default"]
    for one in made:
        roles.delete(small.owner, one.name)
    roles.create(small.owner, role(small, subscription))


def test_direct_members_of_a_group_are_limited_and_all_or_none_join(small):
    group = small.group(small.user(), small.user())
    request = group_pb2.AddGroupMembersRequest(group=group, members=[small.user(), small.user()])
    with refused(Code.RESOURCE_EXHAUSTED, "GROUP_MEMBER_LIMIT_EXCEEDED") as refusal:
        small.owner.directory.AddGroupMembers(request)
    assert dict(refusal.info.metadata) == {"group": group, "limit": "3"}
    assert refusal.quotas == [group]
    del request.members[1:]
    assert small.owner.directory.AddGroupMembers(request).added_count == 1


def test_a_deny_assignment_is_read_by_name_and_by_the_entitled_alone(world):
    user, subscription = world.user(), world.subscription()
    made = deny(world, subscription, principals=[user], description="Why")
    get = deny_assignment_service_pb2.GetDenyAssignmentRequest(name=made.name)
    assert world.owner.denies.GetDenyAssignment(get) == made
    assert made.scope == subscription
    assert list(made.principals) == [user]
    stranger = world.called(world.user())
    missing = deny_assignment_service_pb2.GetDenyAssignmentRequest(
        name=f"{subscription}/denyAssignments/{uuid.uuid4()}"
    )
    for request in (get, missing):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            stranger.denies.GetDenyAssignment(request)
        assert refusal.info.metadata["resource"] == request.name
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        world.owner.denies.GetDenyAssignment(missing)
