import pytest

from services.authz.usecases.delegation import attributes_of, check_condition
from services.kernel.errors import InvalidArgument
from services.kernel.names import fold
from services.kernel.violations import Violations
from services.policy.conditions import (
    ASSIGN,
    MAKE_ELIGIBLE,
    PRINCIPAL_ID,
    PRINCIPAL_TYPE,
    ROLE_ID,
    UNASSIGN,
)
from tests.unit.policy.worlds import GALLERY, OTHER_TENANT, ROOT_GROUP, TENANT, world

ROLE = "roleDefinitions/ACDD72A7-3385-48ef-bd42-f606fba81ae7"


def about(action=ASSIGN, scope=GALLERY, principal=f"{TENANT}/users/Ada"):
    return attributes_of(world(), action, scope, role=ROLE, principal=principal)


def test_an_assignment_is_seen_by_role_principal_and_kind_however_they_are_spelled():
    assert dict(about().request) == {
        fold(ROLE_ID): (ROLE.lower(), ROLE.lower().partition("/")[2]),
        fold(PRINCIPAL_TYPE): ("User",),
        fold(PRINCIPAL_ID): (f"{TENANT}/users/ada", "ada"),
    }


@pytest.mark.parametrize(
    ("collection", "kind"),
    [("groups", "Group"), ("servicePrincipals", "ServicePrincipal"), ("users", "User")],
)
def test_the_name_of_a_principal_says_what_it_is(collection, kind):
    found = about(principal=f"{TENANT}/{collection}/x")
    assert found.request[fold(PRINCIPAL_TYPE)] == (kind,)


@pytest.mark.parametrize("scope", [GALLERY, ROOT_GROUP, TENANT])
def test_somebody_with_the_same_id_in_another_tenant_is_somebody_else(scope):
    own = about(scope=scope).request[fold(PRINCIPAL_ID)]
    other = about(scope=scope, principal=f"{OTHER_TENANT}/users/ada").request[fold(PRINCIPAL_ID)]
    assert "ada" in own
    assert other == (f"{OTHER_TENANT}/users/ada",)


def test_at_the_installation_everybody_is_meant_by_the_full_name():
    assert about(scope="/").request[fold(PRINCIPAL_ID)] == (f"{TENANT}/users/ada",)


def test_attributes_are_of_the_request_of_the_resource_or_of_both():
    assert about(ASSIGN).request
    assert not about(ASSIGN).resource
    assert about(UNASSIGN).resource
    assert not about(UNASSIGN).request
    assert about(MAKE_ELIGIBLE).resource == about(MAKE_ELIGIBLE).request


def test_a_principal_that_has_no_name_has_no_attributes():
    assert set(about(principal="nobody").request) == {fold(ROLE_ID)}


def test_no_condition_is_no_violation_and_a_wrong_one_tells_where():
    violations = Violations()
    check_condition("", "f", violations)
    assert not violations
    check_condition("ActionMatches{", "f", violations)
    with pytest.raises(InvalidArgument) as raised:
        violations.raise_if_any()
    assert raised.value.reason == "CONDITION_INVALID"
    assert raised.value.metadata == {"position": "14"}
