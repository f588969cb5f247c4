"""SimulateChange: what writes would change, without writing."""

import random
import uuid
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2
from stoa.authz.v1 import (
    consistency_pb2,
    decision_pb2,
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    eligible_assignment_pb2,
    eligible_assignment_service_pb2,
    group_pb2,
    management_group_pb2,
    permission_pb2,
    role_assignment_service_pb2,
    role_definition_pb2,
    role_definition_service_pb2,
    sharing_grant_pb2,
    subscription_pb2,
    tenant_pb2,
)
from stoa.authz.v1 import simulation_pb2 as pb

from tests.wire.authz.consistency import demanding
from tests.wire.authz.installation import ROLES, refused
from tests.wire.authz.test_list_accessible import asking, subject
from tests.wire.authz.test_sharing import (
    ADD,
    BLOCK,
    COMMUNITY,
    ENABLE,
    Gallery,
)

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"
WRITE = "Microsoft.Compute/galleries/write"
PUBLIC = "Microsoft.Compute/locations/communityGalleries/read"
ROOT_GROUP = "tenants/default/managementGroups/default"
GAINED = pb.AccessFinding.EFFECT_GAINED
LOST = pb.AccessFinding.EFFECT_LOST


def simulated(stubs, *changes, assertions=(), consistency=None):
    return stubs.questions.SimulateChange(
        pb.SimulateChangeRequest(changes=changes, assertions=assertions, consistency=consistency)
    )


def assigning(world, principal, role, scope):
    return pb.ProposedChange(create_role_assignment=world.assignment(principal, role, scope))


def sharing(gallery, operation, subscriptions=()):
    change = sharing_grant_pb2.SharingChange(operation=operation, subscriptions=subscriptions)
    return pb.ProposedChange(share_gallery=pb.ProposedSharing(gallery=gallery.name, change=change))


def told(answer):
    return [(one.effect, one.principal, one.scope, one.change_index) for one in answer.findings]


def test_an_assignment_is_shown_with_what_it_gives_and_not_made(world):
    user, subscription = world.user(), world.subscription()
    group = f"{subscription}/resourceGroups/Images"
    world.assign(user, "Reader", subscription)
    answer = simulated(world.owner, assigning(world, user, "Contributor", group))
    assert told(answer) == [(GAINED, user, group, 0)]
    (one,) = answer.findings
    assert WRITE in one.permission.actions
    assert READ not in one.permission.actions
    assert not answer.findings_truncated
    assert answer.evaluated_at
    assert not answer.digest
    assert not answer.HasField("digest_expire_time")
    write = asking(WRITE)
    assert not world.called(user).questions.ListAccessible(write).accessible_scopes


def test_changes_build_on_each_other(world):
    user, subscription = world.user(), world.subscription()
    role_id = str(uuid.uuid4())
    role = role_definition_service_pb2.CreateRoleDefinitionRequest(
        role_definition_id=role_id,
        role_definition=role_definition_pb2.RoleDefinition(
            role_name=world.id("Role"),
            permissions=[permission_pb2.Permission(actions=[WRITE])],
            assignable_scopes=[subscription],
        ),
    )
    assign = assigning(world, user, f"roleDefinitions/{role_id}", subscription)
    answer = simulated(world.owner, pb.ProposedChange(create_role_definition=role), assign)
    (one,) = answer.findings
    assert (one.principal, one.change_index) == (user, 1)
    assert list(one.permission.actions) == [WRITE]
    with refused(Code.NOT_FOUND, "ROLE_DEFINITION_NOT_FOUND"):
        simulated(world.owner, assign)


def test_every_kind_of_write_can_be_proposed(world):
    user, subscription = world.user(), world.subscription()
    group = world.group(user)
    held = world.assign(group, "Reader", subscription)
    deny = deny_assignment_service_pb2.CreateDenyAssignmentRequest(
        parent=subscription,
        deny_assignment=deny_assignment_pb2.DenyAssignment(
            display_name="No",
            permissions=[permission_pb2.Permission(actions=["*/read"])],
            principals=[group],
        ),
    )
    denied = world.owner.denies.CreateDenyAssignment(deny)
    eligible = eligible_assignment_service_pb2.CreateEligibleAssignmentRequest(
        parent=subscription,
        eligible_assignment=eligible_assignment_pb2.EligibleAssignment(
            principal=user, role_definition=ROLES["Contributor"]
        ),
    )
    made = world.installation.user().eligible.CreateEligibleAssignment(eligible)
    other = world.user()
    eligible.eligible_assignment.principal = other
    inner = world.owner.directory.CreateManagementGroup(
        management_group_pb2.CreateManagementGroupRequest(
            parent="tenants/default",
            management_group_id=world.id("group"),
            management_group=management_group_pb2.ManagementGroup(
                display_name="Inner", parent_management_group=ROOT_GROUP
            ),
        )
    )
    world.assign(other, "Reader", inner.name)
    role = world.owner.roles.CreateRoleDefinition(
        role_definition_service_pb2.CreateRoleDefinitionRequest(
            role_definition=role_definition_pb2.RoleDefinition(
                role_name=world.id("Role"),
                permissions=[permission_pb2.Permission(actions=[READ])],
                assignable_scopes=[subscription],
            )
        )
    )
    robot = world.service_principal()
    world.assign(robot, role.name, subscription)
    role.permissions[0].actions[:] = [READ, WRITE]
    outer = world.owner.directory.CreateManagementGroup(
        management_group_pb2.CreateManagementGroupRequest(
            parent="tenants/default",
            management_group_id=world.id("group"),
            management_group=management_group_pb2.ManagementGroup(
                display_name="Outer", parent_management_group=ROOT_GROUP
            ),
        )
    )
    world.assign(robot, "Reader", outer.name)
    writers, readers, elsewhere = world.group(user), world.group(), world.subscription()
    world.assign(writers, "Contributor", elsewhere)
    world.assign(readers, "Reader", elsewhere)
    cases: list[tuple[dict[str, Any], list[Any]]] = [
        (
            {
                "update_role_definition": role_definition_service_pb2.UpdateRoleDefinitionRequest(
                    role_definition=role,
                    update_mask=field_mask_pb2.FieldMask(paths=["permissions"]),
                )
            },
            [(GAINED, robot, subscription)],
        ),
        (
            {
                "delete_role_assignment": (
                    role_assignment_service_pb2.DeleteRoleAssignmentRequest(name=held.name)
                )
            },
            # What it gave was denied, all but little.
            [],
        ),
        (
            {
                "delete_deny_assignment": (
                    deny_assignment_service_pb2.DeleteDenyAssignmentRequest(name=denied.name)
                )
            },
            [(GAINED, group, subscription)],
        ),
        ({"create_deny_assignment": deny}, []),
        ({"create_eligible_assignment": eligible}, [(GAINED, other, subscription)]),
        (
            {
                "delete_eligible_assignment": (
                    eligible_assignment_service_pb2.DeleteEligibleAssignmentRequest(name=made.name)
                )
            },
            [(LOST, user, subscription)],
        ),
        (
            {"add_group_members": group_pb2.AddGroupMembersRequest(group=readers, members=[other])},
            [(GAINED, other, elsewhere)],
        ),
        (
            {
                "remove_group_members": group_pb2.RemoveGroupMembersRequest(
                    group=writers, members=[user]
                )
            },
            [(LOST, user, elsewhere)],
        ),
        (
            {
                "update_management_group": management_group_pb2.UpdateManagementGroupRequest(
                    management_group=management_group_pb2.ManagementGroup(
                        name=inner.name, parent_management_group=outer.name
                    ),
                    update_mask=field_mask_pb2.FieldMask(paths=["parent_management_group"]),
                )
            },
            [(GAINED, robot, inner.name)],
        ),
        (
            {
                "update_subscription": subscription_pb2.UpdateSubscriptionRequest(
                    subscription=subscription_pb2.Subscription(
                        name=subscription, parent_management_group=inner.name
                    ),
                    update_mask=field_mask_pb2.FieldMask(paths=["parent_management_group"]),
                )
            },
            [(GAINED, other, subscription)],
        ),
    ]
    fields = {next(iter(change)) for change, _ in cases}
    fields |= {"create_role_definition", "create_role_assignment", "share_gallery"}
    assert fields == {one.name for one in pb.ProposedChange.DESCRIPTOR.fields}
    before = world.installation.stores.policy.position()
    for change, expected in cases:
        answer = simulated(world.owner, pb.ProposedChange(**change))
        found = [one[:3] for one in told(answer)]
        assert found == expected, change
    assert world.installation.stores.policy.position() == before


def test_what_the_write_would_refuse_is_refused_alike(world):
    user, subscription = world.user(), world.subscription()
    with refused(Code.NOT_FOUND, "PRINCIPAL_NOT_FOUND"):
        simulated(
            world.owner, assigning(world, "tenants/default/users/none", "Reader", subscription)
        )
    world.assign(user, "Reader", subscription)
    with refused(Code.ALREADY_EXISTS, "ROLE_ASSIGNMENT_EXISTS"):
        simulated(world.owner, assigning(world, user, "Reader", subscription))
    with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND"):
        simulated(world.owner, assigning(world, user, "Reader", "subscriptions/none"))
    with refused(Code.INVALID_ARGUMENT):
        simulated(world.owner, assigning(world, user, "Reader", "subscriptions//x"))
    with refused(Code.INVALID_ARGUMENT):
        simulated(world.owner)
    with refused(Code.INVALID_ARGUMENT):
        simulated(world.owner, pb.ProposedChange())


def test_reading_assignments_is_enough_and_is_needed_at_each_scope(world):
    reader, user = world.user(), world.user()
    one, two = world.subscription(), world.subscription()
    world.assign(reader, "Reader", one)
    mine = assigning(world, user, "Contributor", one)
    assert simulated(world.called(reader), mine).findings
    other = assigning(world, user, "Contributor", two)
    with refused(Code.PERMISSION_DENIED) as refusal:
        simulated(world.called(reader), mine, other)
    assert refusal.info.metadata["resource"] == two
    # Nobody gains the right to look by what they propose.
    with refused(Code.PERMISSION_DENIED):
        own = assigning(world, reader, "Owner", one)
        simulated(world.called(user), own)
    with refused(Code.PERMISSION_DENIED):
        simulated(world.called(reader), assigning(world, reader, "Owner", two), other)
    with refused(Code.UNAUTHENTICATED):
        simulated(world.installation.nobody(), mine)


def test_a_right_that_is_proposed_does_not_count_for_what_is_proposed_next(world):
    reader, user, group = world.user(), world.user(), world.group()
    one, two = world.subscription(), world.subscription()
    world.assign(reader, "Reader", one)
    world.assign(group, "Owner", two)
    world.assign(reader, "Reader", "tenants/default/managementGroups/default")
    simulated(world.called(reader), assigning(world, user, "Reader", two))
    stranger = world.user()
    world.assign(stranger, "Reader", one)
    with refused(Code.PERMISSION_DENIED) as refusal:
        simulated(
            world.called(stranger),
            assigning(world, stranger, "Owner", one),
            assigning(world, stranger, "Owner", two),
        )
    assert refusal.info.metadata["resource"] == two


def test_assertions_are_judged_on_what_is_found(world):
    user, other, subscription = world.user(), world.user(), world.subscription()
    change = assigning(world, user, "Contributor", f"{subscription}/resourceGroups/rg")
    gallery = f"{subscription}/resourceGroups/rg/galleries/golden"

    def not_granted(action, resource, who=None):
        return pb.AccessAssertion(
            access_not_granted=pb.AccessNotGranted(
                actions=[action], resource=resource, subject=subject(who) if who else None
            )
        )

    share = "Microsoft.Compute/galleries/share/action"
    assertions = {
        pb.AccessAssertion(no_new_access=True).SerializeToString(): False,
        pb.AccessAssertion(no_public_access=True).SerializeToString(): True,
        not_granted(WRITE, gallery).SerializeToString(): False,
        not_granted(WRITE, subscription).SerializeToString(): False,
        not_granted(WRITE, world.subscription()).SerializeToString(): True,
        not_granted(share, gallery).SerializeToString(): True,
        not_granted(WRITE, gallery, user).SerializeToString(): False,
        not_granted(WRITE, gallery, other).SerializeToString(): True,
    }
    answer = simulated(
        world.owner,
        change,
        assertions=[pb.AccessAssertion.FromString(one) for one in assertions],
    )
    assert [one.holds for one in answer.assertion_results] == list(assertions.values())
    for result in answer.assertion_results:
        assert result.holds is not bool(result.findings)
    lost = pb.ProposedChange(
        delete_role_assignment=role_assignment_service_pb2.DeleteRoleAssignmentRequest(
            name=world.assign(user, "Reader", subscription).name
        )
    )
    none_new = pb.AccessAssertion(no_new_access=True)
    assert simulated(world.owner, lost, assertions=[none_new]).assertion_results[0].holds


@pytest.mark.parametrize(
    ("action", "resource", "reason", "field"),
    [
        ("*", "/", "WILDCARD_ACTION", "actions[0]"),
        ("Microsoft.Nothing/read", "/", "MALFORMED_ACTION", "actions[0]"),
        (READ, "subscriptions", "MALFORMED_RESOURCE", "resource"),
    ],
)
def test_a_malformed_assertion_is_refused(world, action, resource, reason, field):
    asserted = pb.AccessNotGranted(actions=[action], resource=resource)
    with refused(Code.INVALID_ARGUMENT, reason) as refusal:
        simulated(
            world.owner,
            assigning(world, world.user(), "Reader", "subscriptions/default"),
            assertions=[pb.AccessAssertion(access_not_granted=asserted)],
        )
    assert list(refusal.fields) == [f"assertions[0].access_not_granted.{field}"]


def test_a_simulation_is_done_on_the_newest_policy(world):
    user, subscription = world.user(), world.subscription()
    change = assigning(world, user, "Reader", subscription)
    before = simulated(world.owner, change).evaluated_at
    exact = consistency_pb2.Consistency(at_exact_snapshot=before)
    assert simulated(world.owner, change, consistency=exact).evaluated_at == before
    world.user()
    with refused(Code.OUT_OF_RANGE, "SNAPSHOT_EXPIRED") as refusal:
        simulated(world.owner, change, consistency=exact)
    assert refusal.info.metadata["oldest"]
    fresh = consistency_pb2.Consistency(at_least_as_fresh=before)
    assert simulated(world.owner, change, consistency=fresh).findings
    for demand in ("at_least_as_fresh", "at_exact_snapshot"):
        foreign = demanding(demand, "MTphYTo5OTox")
        with refused(Code.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID"):
            simulated(world.owner, change, consistency=foreign)


# Sharing, and its digests (T22).


def test_what_becomes_public_comes_first_with_a_digest(world):
    gallery, one = Gallery(world), world.subscription()
    gallery.apply(1, mode=COMMUNITY)
    asserted = pb.AccessAssertion(no_public_access=True)
    answer = simulated(world.owner, sharing(gallery, ENABLE), assertions=[asserted])
    (found,) = answer.findings
    assert found.community
    assert (found.effect, found.scope) == (GAINED, gallery.name)
    assert PUBLIC in found.permission.actions
    assert not answer.assertion_results[0].holds
    assert answer.digest
    assert answer.digest_expire_time.ToSeconds() > 0
    # Nothing was shared.
    assert not gallery.granted().community_enabled
    blocked = simulated(world.owner, sharing(gallery, ENABLE), sharing(gallery, BLOCK, [one]))
    assert [found.community for found in blocked.findings] == [True]
    assert not blocked.digest


def test_sharing_with_a_subscription_shows_the_subscription(world):
    gallery, one, two = Gallery(world), world.subscription(), world.subscription()
    # The catalog may have told nothing of the gallery yet.
    answer = simulated(world.owner, sharing(gallery, ADD, [one]))
    assert [(found.subscription, found.effect) for found in answer.findings] == [(one, GAINED)]
    gallery.apply(1, ADD, [one])
    answer = simulated(world.owner, sharing(gallery, ADD, [one, two]))
    assert [found.subscription for found in answer.findings] == [two]
    with refused(Code.FAILED_PRECONDITION, "SHARING_MODE_MISMATCH"):
        simulated(world.owner, sharing(gallery, ENABLE))
    with refused(Code.NOT_FOUND, "CONSUMER_NOT_FOUND"):
        simulated(world.owner, sharing(gallery, ADD, ["subscriptions/none"]))


def test_a_change_of_sharing_needs_the_right_to_share(world):
    gallery, user = Gallery(world), world.user()
    world.assign(user, "Contributor", gallery.name)
    with refused(Code.PERMISSION_DENIED):
        simulated(world.called(user), sharing(gallery, ADD, [world.subscription()]))
    world.assign(user, "Owner", gallery.name)
    assert simulated(world.called(user), sharing(gallery, ADD, [world.subscription()])).digest


@pytest.fixture
def strict(world):
    """A gallery of a tenant that demands a simulation before anything becomes public."""
    tenant = world.id("strict")
    demand = tenant_pb2.Tenant.COMMUNITY_SHARING_SIMULATION_REQUIRED
    world.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=tenant,
            tenant=tenant_pb2.Tenant(display_name="Strict", community_sharing=demand),
        )
    )
    made = world.owner.directory.CreateSubscription(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=world.id("sub-"),
            subscription=subscription_pb2.Subscription(
                display_name="Strict", tenant=f"tenants/{tenant}"
            ),
        )
    )
    gallery = Gallery(world)
    gallery.name = f"{made.name}/resourceGroups/rg/galleries/golden"
    gallery.apply(1, mode=COMMUNITY)
    return gallery


def digest_of(world, *changes):
    # Nobody holds anything in that tenant yet; a service may ask for everybody.
    return simulated(world.installation.service(), *changes).digest


def test_t22_a_tenant_may_demand_the_digest_of_a_simulation(world, strict):
    with refused(Code.FAILED_PRECONDITION, "SIMULATION_DIGEST_REQUIRED"):
        strict.apply(2, ENABLE, mode=COMMUNITY)
    digest = digest_of(world, sharing(strict, ENABLE))
    shared = strict.apply(3, ENABLE, mode=COMMUNITY, simulation_digest=digest)
    assert shared.grant.community_enabled


def test_only_opening_a_gallery_demands_a_digest(world, strict):
    strict.apply(2, BLOCK, [world.subscription()], mode=COMMUNITY)
    assert len(strict.granted().blocked_subscriptions) == 1


def test_a_dry_run_answers_the_digest_too(world, strict):
    dry = strict.apply(2, ENABLE, mode=COMMUNITY, validate_only=True)
    assert dry.simulation_digest
    assert not strict.granted().community_enabled
    strict.apply(3, ENABLE, mode=COMMUNITY, simulation_digest=dry.simulation_digest)
    assert strict.granted().community_enabled
    # A profile alone is no step to simulate.
    assert not strict.apply(4, mode=COMMUNITY, validate_only=True).simulation_digest


def test_a_digest_is_stale_once_the_sharing_has_changed_or_the_step_is_another(world, strict):
    one = world.subscription()
    digest = digest_of(world, sharing(strict, ENABLE))
    with refused(Code.FAILED_PRECONDITION, "SIMULATION_DIGEST_STALE") as refusal:
        strict.apply(2, BLOCK, [one], mode=COMMUNITY, simulation_digest=digest)
    assert refusal.info.metadata["gallery"] == strict.name
    strict.apply(3, BLOCK, [one], mode=COMMUNITY)
    with refused(Code.FAILED_PRECONDITION, "SIMULATION_DIGEST_STALE"):
        strict.apply(4, ENABLE, mode=COMMUNITY, simulation_digest=digest)
    digest = digest_of(world, sharing(strict, ENABLE))
    forged = digest[:-4] + ("AAAA" if digest[-4:] != "AAAA" else "BBBB")
    for bad in (forged, "nonsense", "A" * 43 + "=", random.Random(22).randbytes(20).hex()):
        with refused(Code.FAILED_PRECONDITION, "SIMULATION_DIGEST_STALE"):
            strict.apply(5, ENABLE, mode=COMMUNITY, simulation_digest=bad)
    other = Gallery(world)
    other.apply(1, mode=COMMUNITY)
    # Where nobody demands one, one that is sent must still be true.
    with refused(Code.FAILED_PRECONDITION, "SIMULATION_DIGEST_STALE"):
        other.apply(2, ENABLE, mode=COMMUNITY, simulation_digest=digest)
    other.apply(3, ENABLE, mode=COMMUNITY)


def test_the_subject_of_a_question_is_read_like_any_other(world):
    bad = decision_pb2.Subject(tenant="tenants", principal_id="x")
    asserted = pb.AccessNotGranted(actions=[READ], resource="/", subject=bad)
    with refused(Code.INVALID_ARGUMENT) as refusal:
        simulated(
            world.owner,
            assigning(world, world.user(), "Reader", "subscriptions/default"),
            assertions=[pb.AccessAssertion(access_not_granted=asserted)],
        )
    assert list(refusal.fields) == ["assertions[0].access_not_granted.subject.tenant"]
