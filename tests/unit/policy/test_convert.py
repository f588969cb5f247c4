from datetime import timedelta

import pytest
from stoa.authz.v1 import policy_change_pb2, sharing_grant_pb2
from stoa.authz.v1 import policy_feed_service_pb2 as feed_pb2
from stoa.authz.v1.policy_change_pb2 import PolicyChange

from services.policy.convert import ChangeReader, UnknownChange, transaction_from_pb
from services.policy.encode import change_to_pb
from services.policy.model import (
    EVERYONE,
    Activation,
    ExternalIdentity,
    Kind,
    ManagementGroup,
    MemberRemoved,
    Permissions,
    Principal,
    PrincipalKind,
    Removed,
    RoleDefinition,
    ScopeTombstone,
    SharingMode,
    Subscription,
    Tenant,
    Transaction,
)
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    GALLERY,
    HIERARCHY,
    NOW,
    PRINCIPALS,
    READ,
    SUBSCRIPTION,
    TENANT,
    WRITE,
    assign,
    deny,
    eligible,
    grant,
    group,
    member,
    user,
)

CHANGES = [
    *HIERARCHY,
    *PRINCIPALS,
    RoleDefinition(
        "r1",
        "Reads",
        (Permissions((READ,), (WRITE,), ("d/*",), ("d/x",)), Permissions(("*",))),
        built_in=True,
    ),
    assign("r1", GALLERY),
    assign("r1", "/", start=NOW, end=NOW + timedelta(microseconds=1), condition="c"),
    eligible("r1", GALLERY, activations=(Activation(BOB, NOW, NOW),), start=NOW, condition="c"),
    deny(GALLERY, ALICE, BOB, do_not_apply_to_child_scopes=True),
    deny(GALLERY, EVERYONE, exclude_principals=frozenset({BOB})),
    Principal(user("x"), PrincipalKind.USER, enabled=False),
    Principal(
        f"{TENANT}/serviceprincipals/s",
        PrincipalKind.SERVICE_PRINCIPAL,
        external=ExternalIdentity("https://i", "S"),
    ),
    member(group("g1"), ALICE),
    MemberRemoved(group("g1"), ALICE),
    Tenant(TENANT, "uid-t"),
    ManagementGroup(f"{TENANT}/managementgroups/x", TENANT, None),
    Subscription(SUBSCRIPTION, TENANT, f"{TENANT}/managementgroups/x", enabled=False, uid="u"),
    grant(subscriptions={CONSUMER}, tenants={TENANT}, allow_copy=True),
    grant(
        SharingMode.COMMUNITY,
        public_name="pub-1",
        community_enabled=True,
        blocked={CONSUMER, TENANT},
    ),
    grant(SharingMode.PRIVATE),
    *(Removed(kind, f"{GALLERY}/things/x") for kind in Kind if kind is not Kind.ROLE_DEFINITION),
    Removed(Kind.ROLE_DEFINITION, "r1"),
    ScopeTombstone(GALLERY, "uid-1", 0),
]


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_what_was_written_is_read(change):
    assert list(ChangeReader(0).read(change_to_pb(change))) == [change]


def test_every_change_of_the_contract_is_covered():
    kinds = {change_to_pb(change).WhichOneof("change") for change in CHANGES}
    assert kinds == {field.name for field in PolicyChange.DESCRIPTOR.fields}


def test_names_become_keys_and_the_scope_is_read_from_the_name():
    record = policy_change_pb2.RoleAssignmentRecord(
        name="subscriptions/S/resourceGroups/RG/roleAssignments/A",
        principal="tenants/T/users/U",
        role_definition="roleDefinitions/R",
    )
    (read,) = ChangeReader(7).read(PolicyChange(put_role_assignment=record))
    assert read == assign("r", "subscriptions/s/resourcegroups/rg", "tenants/t/users/u",
                          id="a", revision=7)  # fmt: skip


def test_an_assignment_at_the_installation_has_the_scope_of_the_installation():
    record = policy_change_pb2.RoleAssignmentRecord(name="roleAssignments/a", principal="p")
    (read,) = ChangeReader(1).read(PolicyChange(put_role_assignment=record))
    assert getattr(read, "scope", None) == "/"


@pytest.mark.parametrize(
    "change",
    [
        PolicyChange(),
        PolicyChange(put_principal=policy_change_pb2.PrincipalRecord(name="tenants/t/robots/r")),
        PolicyChange(put_principal=policy_change_pb2.PrincipalRecord(name="x")),
        PolicyChange(
            put_sharing_grant=sharing_grant_pb2.SharingGrant(
                gallery="g",
                profile=sharing_grant_pb2.SharingProfile(mode=99),  # type: ignore[arg-type]
            )
        ),
    ],
    ids=["nothing", "a robot", "no name", "a new mode"],
)
def test_what_is_not_known_is_refused_with_its_whole_transaction(change):
    known = change_to_pb(assign("r1", GALLERY))
    with pytest.raises(UnknownChange):
        transaction_from_pb(feed_pb2.Transaction(revision=2, changes=[known, change]))


def test_a_transaction_is_read_at_its_revision():
    message = feed_pb2.Transaction(
        revision=9,
        changes=[change_to_pb(assign("r1", GALLERY)), change_to_pb(CHANGES[-1])],
    )
    assert transaction_from_pb(message) == Transaction(
        9, (assign("r1", GALLERY, revision=9), ScopeTombstone(GALLERY, "uid-1", 9))
    )


def test_equal_keys_of_a_snapshot_are_one_string():
    reader = ChangeReader(0)
    (one,) = reader.read(change_to_pb(assign("r1", GALLERY, id="a")))
    (two,) = reader.read(change_to_pb(assign("r1", GALLERY, id="b")))
    for field in ("scope", "principal", "role"):
        assert getattr(one, field) is getattr(two, field)
