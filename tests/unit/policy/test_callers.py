import pytest

from services.kernel.rpc.access import Caller
from services.policy.authority import Subject
from services.policy.callers import NOBODY, Callers, asker, without_token
from services.policy.model import ExternalIdentity, Kind, Principal, PrincipalKind, Removed
from tests.unit.policy.worlds import (
    ALICE,
    FOREIGN,
    GALLERY,
    OTHER_TENANT,
    TENANT,
    VERSION,
    user,
    world,
)

OWN = "https://stoa.example"
OTHER = "https://login.example"
EVE = user("eve")
SERVICE = f"{TENANT}/serviceprincipals/builder"
DIRECTORY = world(
    Principal(EVE, PrincipalKind.USER, external=ExternalIdentity(OTHER, "auth0|Eve")),
    Principal(SERVICE, PrincipalKind.SERVICE_PRINCIPAL),
).directory


def identity(subject, tenant="t1", issuer=OWN, directory=DIRECTORY):
    (found,) = Callers(OWN).identities(Caller(subject, tenant, claims={"iss": issuer}), directory)
    return found


def test_a_token_of_the_installation_names_a_principal_by_tenant_and_id():
    found = identity("Alice", "T1")
    assert (found.key, found.tenant, found.subject) == (ALICE, TENANT, Subject(TENANT, "alice"))
    assert identity("builder").key == SERVICE


def test_a_token_of_another_issuer_is_known_by_the_external_identity_alone():
    assert identity("auth0|Eve", issuer=OTHER).key == EVE
    assert identity("auth0|eve", issuer=OTHER).key == NOBODY
    assert identity("auth0|Eve", issuer="https://elsewhere.example").key == NOBODY


def test_a_token_of_another_issuer_cannot_claim_an_id():
    found = identity("alice", issuer=OTHER)
    assert (found.key, found.subject) == (NOBODY, None)


def test_a_token_of_another_issuer_speaks_for_its_own_tenant_only():
    found = identity("auth0|Eve", "t2", issuer=OTHER)
    assert (found.key, found.subject) == (NOBODY, None)


def test_nobody_is_a_group():
    found = identity("g1")
    assert (found.key, found.subject) == (NOBODY, None)


def test_somebody_new_may_be_known_to_authz():
    found = identity("newcomer")
    assert (found.key, found.subject) == (NOBODY, Subject(TENANT, "newcomer"))


def test_a_workload_is_no_principal():
    (found,) = Callers().identities(Caller(workload="catalog"), DIRECTORY)
    assert (found.key, found.subject) == (NOBODY, None)


def test_an_external_identity_that_was_changed_or_removed_is_forgotten():
    changed = world(
        Principal(EVE, PrincipalKind.USER, external=ExternalIdentity(OTHER, "second")),
        base=world(Principal(EVE, PrincipalKind.USER, external=ExternalIdentity(OTHER, "first"))),
        revision=2,
    )
    assert identity("first", issuer=OTHER, directory=changed.directory).key == NOBODY
    assert identity("second", issuer=OTHER, directory=changed.directory).key == EVE
    gone = world(Removed(Kind.PRINCIPAL, EVE), base=changed, revision=3)
    assert identity("second", issuer=OTHER, directory=gone.directory).key == NOBODY


def two():
    caller = Caller("alice", "t1", auxiliary=(Caller("carol", "t2"),))
    return Callers().identities(caller, DIRECTORY)


@pytest.mark.parametrize(
    ("scope", "tenant"),
    [
        (VERSION, TENANT),
        (f"{FOREIGN}/resourceGroups/rg", OTHER_TENANT),
        (OTHER_TENANT, OTHER_TENANT),
        ("/", TENANT),
        ("subscriptions/unknown", TENANT),
        ("not a scope", TENANT),
    ],
)
def test_who_asks_is_the_identity_in_the_tenant_of_the_scope(scope, tenant):
    assert asker(two(), scope, DIRECTORY).tenant == tenant


def test_scopes_of_two_tenants_need_an_identity_in_each():
    alone = two()[:1]
    assert without_token(alone, (GALLERY, VERSION), DIRECTORY) is None
    assert without_token(alone, (GALLERY, FOREIGN), DIRECTORY) == 1
    assert without_token(alone, (FOREIGN, GALLERY), DIRECTORY) == 0
    assert without_token(two(), (GALLERY, FOREIGN), DIRECTORY) is None
    assert without_token(alone, ("/", "subscriptions/unknown"), DIRECTORY) is None


def test_what_is_remembered_of_a_caller_holds_for_one_directory_only():
    callers = Callers(OWN)
    caller = Caller("builder", "t1", claims={"iss": OWN})
    gone = world(Removed(Kind.PRINCIPAL, SERVICE)).directory
    found = [callers.identities(caller, one)[0].key for one in (DIRECTORY, gone, DIRECTORY)]
    assert found == [SERVICE, NOBODY, SERVICE]


def test_callers_that_differ_in_their_issuer_alone_are_told_apart():
    callers = Callers(OWN)
    found = [
        callers.identities(Caller("alice", "t1", claims={"iss": issuer}), DIRECTORY)[0].key
        for issuer in (OWN, OTHER, OWN)
    ]
    assert found == [ALICE, NOBODY, ALICE]
