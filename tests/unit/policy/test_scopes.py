import pytest

from services.kernel.errors import InvalidName
from services.policy.scopes import ROOT_SCOPE, Scope, View, ViewKind


def test_a_scope_is_its_key_and_its_pairs_from_the_top():
    scope = Scope.parse("subscriptions/S/resourceGroups/RG/galleries/G/images/I/versions/01.02.3")
    assert scope.key == "subscriptions/s/resourcegroups/rg/galleries/g/images/i/versions/1.2.3"
    assert scope.steps == (
        "subscriptions/s",
        "resourcegroups/rg",
        "galleries/g",
        "images/i",
        "versions/1.2.3",
    )
    assert scope.subscription == "subscriptions/s"


def test_the_installation_has_no_steps():
    assert Scope.parse("/") is ROOT_SCOPE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "//",
        "subscriptions",
        "subscriptions/",
        "/subscriptions/s",
        "subscriptions/s/",
        "subscriptions//resourceGroups/rg",
        "subscriptions/s/resourceGroups",
        "subscriptions/./resourceGroups/rg",
        "subscriptions/../resourceGroups/rg",
        "subscriptions/a%2fb",
        "subscriptions/a\\b",
        "subscriptions/ä",
        "subscriptions/s\n",
        "subscriptions/s\x00",
        "subscriptions/-",
        "sub-scriptions/s",
        "subscriptions/\u212a",
        "subscriptions/s" * 1000,
    ],
)
def test_what_is_odd_is_refused_and_not_repaired(text):
    with pytest.raises(InvalidName) as raised:
        Scope.parse(text, field="resource")
    assert raised.value.field == "resource"


@pytest.mark.parametrize(
    ("text", "view"),
    [
        (
            "subscriptions/S/locations/eastus/sharedGalleries/ID/images/i",
            View(ViewKind.SHARED, "id", "subscriptions/s"),
        ),
        (
            "subscriptions/s/locations/eastus/communityGalleries/pub-1",
            View(ViewKind.COMMUNITY, "pub-1", "subscriptions/s"),
        ),
        ("subscriptions/s/locations/eastus", None),
        ("subscriptions/s/resourceGroups/rg/sharedGalleries/x", None),
        ("regions/r/locations/l/sharedGalleries/x", None),
    ],
)
def test_views_are_known_by_their_place(text, view):
    assert Scope.parse(text).view == view


def test_a_management_group_is_found_from_below():
    scope = Scope.parse("tenants/T/managementGroups/M/roleAssignments/1")
    assert scope.management_group == "tenants/t/managementgroups/m"
    assert Scope.parse("tenants/t/users/u").management_group is None
