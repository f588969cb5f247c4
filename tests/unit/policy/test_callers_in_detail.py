"""Who a caller is told to be, to authz and to others, and for how long that is remembered."""

import pytest

from services.kernel.rpc.access import Caller
from services.policy import callers
from services.policy.authority import Subject
from services.policy.callers import NOBODY, Callers, Identity, asker, names, without_token
from services.policy.model import ExternalIdentity, Principal, PrincipalKind
from tests.unit.policy.worlds import (
    ALICE,
    FOREIGN,
    GALLERY,
    OTHER_TENANT,
    TENANT,
    VERSION,
    group,
    user,
    world,
)

OWN, OTHER = "https://stoa.example", "https://login.example"
SERVICE = f"{TENANT}/serviceprincipals/builder"
DIRECTORY = world(
    Principal(user("eve"), PrincipalKind.USER, external=ExternalIdentity(OTHER, "Eve")),
    Principal(SERVICE, PrincipalKind.SERVICE_PRINCIPAL, external=ExternalIdentity(OTHER, "Bot")),
    Principal(group("g3"), PrincipalKind.GROUP, external=ExternalIdentity(OTHER, "Team")),
).directory


def identity(subject, tenant="t1", issuer=OWN, own=OWN, **more) -> Identity:
    claims = {"iss": issuer} if issuer else {}
    caller = Caller(subject, tenant, claims=claims, **more)
    (found,) = Callers(own).identities(caller, DIRECTORY)
    return found


def test_others_are_told_of_a_principal_by_its_resource_name():
    assert identity("ALICE").name == f"{TENANT}/users/alice"
    assert identity("builder").name == f"{TENANT}/servicePrincipals/builder"
    assert identity("Newcomer").name == f"{TENANT}/users/Newcomer"
    assert identity("Eve", issuer=OTHER).name == f"{TENANT}/users/eve"
    assert identity("Bot", issuer=OTHER).name == f"{TENANT}/servicePrincipals/builder"


def test_whoever_is_not_told_of_has_no_name():
    nobody = Identity(NOBODY, TENANT, None)
    assert (nobody.key, nobody.name) == ("", "")
    assert identity("g1") == nobody
    assert identity("Team", issuer=OTHER) == nobody
    assert identity("unknown", issuer=OTHER) == nobody
    assert identity("alice", workload="catalog") == nobody


def test_who_a_token_names_is_asked_of_authz_by_tenant_and_id():
    assert identity("Eve", issuer=OTHER).subject == Subject(TENANT, "eve")
    assert identity("Newcomer", "T1").subject == Subject(TENANT, "Newcomer")
    assert identity("Newcomer", "T9").tenant == "tenants/t9"


def test_a_tenant_whose_name_begins_alike_is_another():
    assert identity("Eve", "t", issuer=OTHER).key == NOBODY
    assert identity("Eve", "t11", issuer=OTHER).key == NOBODY
    assert identity("Eve", "T1", issuer=OTHER).key == user("eve")


@pytest.mark.parametrize(
    ("own", "issuer", "key"),
    [
        (OWN, OWN, ALICE),
        (OWN, "", ALICE),
        (OWN, OTHER, NOBODY),
        ("", OTHER, ALICE),
        ("", "", ALICE),
    ],
)
def test_the_issuer_decides_whether_an_id_counts(own, issuer, key):
    assert identity("alice", issuer=issuer, own=own).key == key


def test_where_no_issuer_is_the_installations_all_are():
    (found,) = Callers().identities(Caller("alice", "t1", claims={"iss": OTHER}), DIRECTORY)
    assert found.key == ALICE


def test_callers_are_told_apart_by_all_that_names_them():
    reader = Callers(OWN)
    asked = [
        (Caller("alice", "t1"), ALICE, TENANT),
        (Caller("bob", "t1"), user("bob"), TENANT),
        (Caller("alice", "t2"), NOBODY, OTHER_TENANT),
        (Caller("alice", "t1", workload="catalog"), NOBODY, TENANT),
    ]
    for _ in range(2):
        for caller, key, tenant in asked:
            (found,) = reader.identities(caller, DIRECTORY)
            assert (found.key, found.tenant) == (key, tenant)


def test_a_caller_is_read_once_while_the_directory_is_the_same(monkeypatch):
    monkeypatch.setattr(callers, "_REMEMBERED", 3)
    reader = Callers(OWN)

    def found(subject, directory=DIRECTORY):
        return reader.identities(Caller(subject, "t1"), directory)[0]

    first = found("alice")
    assert found("alice") is first
    found("bob")
    assert found("alice") is first
    found("eve")
    # As many as there may be: all are forgotten, and nobody is confused with anybody.
    again = found("alice")
    assert again is not first
    assert again == first
    assert found("alice") is again
    assert found("alice", world().directory) is not again


def test_all_tokens_of_a_call_are_read_the_own_one_first():
    caller = Caller("alice", "t1", auxiliary=(Caller("carol", "t2"), Caller("bob", "t1")))
    found = Callers().identities(caller, DIRECTORY)
    assert [one.key for one in found] == [ALICE, user("carol", OTHER_TENANT), user("bob")]
    assert names((*found, Identity(NOBODY, TENANT, None))) == (
        f"{TENANT}/users/alice",
        f"{OTHER_TENANT}/users/carol",
        f"{TENANT}/users/bob",
    )


def test_where_nobody_is_of_the_tenant_the_first_asks():
    first, second = (Identity(key, OTHER_TENANT, None) for key in ("one", "two"))
    for scope in (VERSION, "/", "not a scope"):
        assert asker((first, second), scope, DIRECTORY) is first
    assert asker((first,), VERSION, DIRECTORY) is first


def test_of_several_of_the_tenant_the_first_asks():
    found = [
        Identity("one", OTHER_TENANT, None),
        Identity("two", TENANT, None),
        Identity("three", TENANT, None),
    ]
    assert asker(tuple(found), VERSION, DIRECTORY) is found[1]


def test_only_scopes_of_two_tenants_and_more_need_a_token_for_each():
    here = (Identity(ALICE, TENANT, None),)
    both = (*here, Identity("", OTHER_TENANT, None))
    assert without_token(here, (FOREIGN, FOREIGN), DIRECTORY) is None
    assert without_token(here, (FOREIGN, "/"), DIRECTORY) is None
    assert without_token(here, ("/", "/", GALLERY, FOREIGN), DIRECTORY) == 3
    assert without_token((), ("/", GALLERY, FOREIGN), DIRECTORY) == 1
    assert without_token(both, ("/", GALLERY, FOREIGN), DIRECTORY) is None
