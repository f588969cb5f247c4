"""Where a scope begins to be one, and ends."""

import pytest

from services.kernel.errors import InvalidName
from services.kernel.names import MAX_NAME_LENGTH
from services.policy.scopes import Scope, View, ViewKind

LONGEST = "subscriptions/s".ljust(MAX_NAME_LENGTH, "s")


def test_a_scope_may_be_as_long_as_any_name_and_no_longer():
    assert Scope.parse(LONGEST).steps == (LONGEST,)
    with pytest.raises(InvalidName, match="at most"):
        Scope.parse(f"{LONGEST}s")


def test_the_field_that_is_told_of_is_the_scope_where_none_is_named():
    with pytest.raises(InvalidName) as raised:
        Scope.parse("subscriptions")
    assert raised.value.field == "scope"


@pytest.mark.parametrize(
    "text",
    [
        "subscriptions/s/resourceGroups/..",
        "subscriptions/s/resourceGroups/rg/galleries/-",
        "subscriptions/s/resourceGroups/rg/galleries/g/images/.",
        "subscriptions/s/resource groups/rg",
        "subscriptions/s/resourceGroups/rg/gal-leries/g",
        "subscriptions/s/resourceGroups/rg/galleries/g/imäges/i",
        "subscriptions/s/resourceGroups/rg/galleries",
        "subscriptions/s/resourceGroups//galleries/g",
        "1subscriptions/s",
    ],
)
def test_every_pair_is_looked_at(text):
    with pytest.raises(InvalidName):
        Scope.parse(text)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("subscriptions/s/disks/my disk", ("subscriptions/s", "disks/my disk")),
        ("subscriptions/_s/disks2/D", ("subscriptions/_s", "disks2/d")),
        ("tenants/t/users/a@b.c", ("tenants/t", "users/a@b.c")),
    ],
)
def test_an_id_that_is_out_of_the_ordinary_is_an_id(text, steps):
    assert Scope.parse(text).steps == steps


def test_only_what_lies_in_a_subscription_has_one():
    assert Scope.parse("/").subscription is None
    assert Scope.parse("tenants/t/subscriptions/s").subscription is None
    assert Scope.parse("subscriptions2/s").subscription is None
    assert Scope.parse("subscriptions/s").subscription == "subscriptions/s"


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("/", None),
        ("tenants/t", None),
        ("managementGroups/m", None),
        ("managementGroups/m/x/y", None),
        ("tenants/t/managementGroupsX/m", None),
        ("tenants/t/managementGroups/m", "tenants/t/managementgroups/m"),
        ("tenants/t/managementGroups/m/x/y", "tenants/t/managementgroups/m"),
    ],
)
def test_only_what_is_or_lies_in_a_management_group_has_one(text, group):
    assert Scope.parse(text).management_group == group


@pytest.mark.parametrize(
    "text",
    [
        "subscriptions/s/locationsX/l/sharedGalleries/id",
        "subscriptionsX/s/locations/l/sharedGalleries/id",
        "subscriptions/s/locations/l/sharedGalleriesX/id",
        "subscriptions/s/locations/l/galleries/id",
        "subscriptions/s/sharedGalleries/id/locations/l",
        "locations/l/subscriptions/s/sharedGalleries/id",
        "subscriptions/s/resourceGroups/locations/sharedGalleries/id",
    ],
)
def test_what_only_resembles_a_view_is_none(text):
    assert Scope.parse(text).view is None


def test_a_view_is_the_same_from_all_that_lies_in_it():
    view = View(ViewKind.COMMUNITY, "pub", "subscriptions/s")
    inside = "subscriptions/s/locations/l/communityGalleries/Pub/images/i/versions/1.0.0"
    assert Scope.parse(inside).view == view


def test_a_scope_is_written_as_its_key():
    assert str(Scope.parse("subscriptions/S/disks/D")) == "subscriptions/s/disks/d"
    assert str(Scope.parse("/")) == "/"
