"""Roles, groups, subscriptions and what lies above: as they are asked for, and as they change."""

import pytest

from services.policy import directory as module
from services.policy.directory import EMPTY_DIRECTORY, Directory, DirectoryEditor
from services.policy.model import (
    ExternalIdentity,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Plane,
    Principal,
    PrincipalKind,
    Removed,
    Tenant,
)
from services.policy.scopes import Scope
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    FOREIGN,
    GALLERY,
    GROUP,
    IMAGES,
    OTHER_TENANT,
    PLATFORM,
    READ,
    ROOT_GROUP,
    SUBSCRIPTION,
    TENANT,
    group,
    member,
    role,
    user,
    world,
)

G0, G1, G2 = group("g0"), group("g1"), group("g2")
ISSUER = "https://login.example"


def directory(*changes) -> Directory:
    return world(*changes).directory


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("/", ()),
        ("regions/eastus", ()),
        (TENANT, ()),
        (f"{TENANT}/users/alice", ()),
        (ROOT_GROUP, ()),
        (PLATFORM, (ROOT_GROUP,)),
        (IMAGES, (PLATFORM, ROOT_GROUP)),
        (f"{TENANT}/managementgroups/unknown", ()),
        (f"{IMAGES}/x/y", (PLATFORM, ROOT_GROUP)),
        (CONSUMER, (PLATFORM, ROOT_GROUP, TENANT)),
        (GALLERY, (IMAGES, PLATFORM, ROOT_GROUP, TENANT)),
        ("subscriptions/unknown", ()),
    ],
)
def test_above_a_scope_is_the_hierarchy_of_its_tenant(scope, expected):
    assert directory().above(Scope.parse(scope)) == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("/", ("/",)),
        ("regions/eastus", ("regions/eastus", "/")),
        (TENANT, (TENANT, "/")),
        (f"{TENANT}/users/alice", (f"{TENANT}/users/alice", TENANT, "/")),
        (ROOT_GROUP, (ROOT_GROUP, TENANT, "/")),
        (IMAGES, (IMAGES, PLATFORM, ROOT_GROUP, TENANT, "/")),
        (f"{PLATFORM}/x/y", (f"{PLATFORM}/x/y", PLATFORM, ROOT_GROUP, TENANT, "/")),
        (
            GALLERY,
            (GALLERY, GROUP, SUBSCRIPTION, IMAGES, PLATFORM, ROOT_GROUP, TENANT, "/"),
        ),
        ("subscriptions/unknown", ("subscriptions/unknown", "/")),
    ],
)
def test_a_chain_goes_from_the_scope_to_the_installation(scope, expected):
    assert directory().chain(Scope.parse(scope)) == expected


@pytest.mark.parametrize(
    ("scope", "tenant"),
    [
        ("/", None),
        ("regions/eastus", None),
        ("regions/r/tenants/t1", None),
        ("tenantsx/t1", None),
        (TENANT, TENANT),
        (PLATFORM, TENANT),
        (GALLERY, TENANT),
        (FOREIGN, OTHER_TENANT),
        ("subscriptions/unknown", None),
    ],
)
def test_a_scope_belongs_to_the_tenant_that_it_lies_in(scope, tenant):
    assert directory().tenant_of(Scope.parse(scope)) == tenant


def test_a_cycle_of_management_groups_is_climbed_once():
    looped = directory(ManagementGroup(ROOT_GROUP, TENANT, IMAGES))
    above = looped.above(Scope.parse(SUBSCRIPTION))
    assert above == (IMAGES, PLATFORM, ROOT_GROUP, TENANT)


def test_subscriptions_are_kept_in_order():
    editor = DirectoryEditor(EMPTY_DIRECTORY)
    for one in (directory().subscriptions[key] for key in (FOREIGN, SUBSCRIPTION, CONSUMER)):
        editor.put_subscription(one)
    known = editor.freeze()
    assert known.in_order == (SUBSCRIPTION, CONSUMER, FOREIGN)
    assert known.in_order is known.in_order


def test_a_closure_is_the_caller_and_all_their_groups_and_is_made_once():
    known = directory(member(G0, ALICE), member(G1, G0), member(G1, BOB), member(G0, G1))
    assert known.identities(ALICE) == {ALICE, G0, G1}
    assert known.identities(BOB) == {BOB, G0, G1}
    assert known.identities(user("stranger")) == frozenset()
    assert known.identities(ALICE) is known.identities(ALICE)


def test_closures_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(module, "_MAX_REMEMBERED", 2)
    known = directory()
    first = known.identities(ALICE)
    known.identities(BOB)
    assert known.identities(ALICE) is first
    known.identities(user("stranger"))
    # As many as there may be: all are forgotten, and nobody is confused with anybody.
    again = known.identities(ALICE)
    assert again is not first
    assert again == first


def test_a_disabled_group_passes_nothing_on():
    off = Principal(G0, PrincipalKind.GROUP, enabled=False)
    assert directory(off, member(G0, ALICE), member(G1, G0)).identities(ALICE) == {ALICE}


def test_the_direct_members_of_each_group_are_known():
    known = directory(member(G0, ALICE), member(G0, BOB), member(G1, ALICE), member(G1, G0))
    members = {of: sorted(who) for of, who in known.members_of.items()}
    assert members == {G0: [ALICE, BOB], G1: [G0, ALICE]}
    assert known.members_of is known.members_of


def test_who_leaves_one_group_stays_in_the_others():
    joined = world(member(G0, ALICE), member(G1, ALICE), member(G2, ALICE))
    left = world(MemberRemoved(G1, ALICE), base=joined, revision=2)
    assert left.directory.identities(ALICE) == {ALICE, G0, G2}
    nobody = world(
        *(MemberRemoved(one, ALICE) for one in (G0, G2)),
        MemberRemoved(G0, BOB),
        base=left,
        revision=3,
    )
    assert nobody.directory.identities(ALICE) == {ALICE}
    assert dict(nobody.directory.groups_of) == {}


def test_an_id_names_a_principal_of_any_kind_in_its_tenant_alone():
    service = f"{TENANT}/serviceprincipals/builder"
    known = directory(Principal(service, PrincipalKind.SERVICE_PRINCIPAL))
    for told, key in (("Alice", ALICE), ("BUILDER", service), ("g1", G1)):
        found = known.principal("T1", told)
        assert found is not None
        assert found.key == key
        assert known.principal("t2", told) is None
    assert known.principal("t1", "") is None


def test_an_external_identity_is_an_issuer_and_a_subject():
    known = directory(
        Principal(ALICE, PrincipalKind.USER, external=ExternalIdentity(ISSUER, "x y"))
    )
    found = known.external_principal(ISSUER, "x y")
    assert found is not None
    assert found.key == ALICE
    assert known.external_principal(f"{ISSUER}x", " y") is None
    assert known.external_principal(ISSUER, "x") is None
    assert known.external_principal("", "") is None


def test_whoever_has_no_external_identity_gives_up_none():
    first = world(Principal(ALICE, PrincipalKind.USER, external=ExternalIdentity(ISSUER, "a")))
    plain = world(Principal(ALICE, PrincipalKind.USER), base=first, revision=2).directory
    assert plain.external_principal(ISSUER, "a") is None
    assert dict(plain.externals) == {}
    gone = world(Removed(Kind.PRINCIPAL, ALICE), base=first, revision=2).directory
    assert dict(gone.externals) == {}
    assert ALICE not in gone.principals


def test_a_tenant_goes_with_its_root_group_and_leaves_the_others():
    held = world(Tenant(TENANT), Tenant(OTHER_TENANT))
    left = world(Removed(Kind.TENANT, TENANT), base=held, revision=2).directory
    assert set(held.directory.tenants) == {TENANT, OTHER_TENANT}
    assert set(left.tenants) == {OTHER_TENANT}
    assert ROOT_GROUP not in left.management_groups
    assert {PLATFORM, f"{OTHER_TENANT}/managementgroups/t2"} <= set(left.management_groups)


def test_a_management_group_and_a_role_are_gone_once_removed():
    held = world(role(READ))
    assert held.directory.roles["r1"].permits(READ.lower(), Plane.CONTROL)
    assert not held.directory.roles["r1"].permits(READ.lower(), Plane.DATA)
    assert held.directory.roles["r1"].definition == role(READ)
    left = world(
        Removed(Kind.ROLE_DEFINITION, "r1"),
        Removed(Kind.MANAGEMENT_GROUP, IMAGES),
        base=held,
        revision=2,
    ).directory
    assert "r1" not in left.roles
    assert IMAGES not in left.management_groups
    # The subscription still says that it lies there; nothing is above an unknown group.
    assert left.above(Scope.parse(SUBSCRIPTION)) == (IMAGES, TENANT)


def test_a_successor_differs_from_its_base_where_something_was_written():
    written = {
        "roles": lambda editor: editor.put_role(role(READ)),
        "subscriptions": lambda editor: editor.put_subscription(
            directory().subscriptions[SUBSCRIPTION]
        ),
        "management_groups": lambda editor: editor.put_management_group(
            ManagementGroup(PLATFORM, TENANT, None)
        ),
        "tenants": lambda editor: editor.put_tenant(Tenant(TENANT)),
        "principals": lambda editor: editor.put_principal(Principal(ALICE, PrincipalKind.USER)),
        "groups_of": lambda editor: editor.add_member(member(G0, ALICE)),
    }
    for edited, edit in written.items():
        editor = DirectoryEditor(EMPTY_DIRECTORY)
        assert editor.freeze() is EMPTY_DIRECTORY
        edit(editor)
        made = editor.freeze()
        assert [name for name in written if getattr(made, name)] == [edited]
        assert not any(getattr(EMPTY_DIRECTORY, name) for name in written)
