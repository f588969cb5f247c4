"""What the index of shares keeps, and under which names."""

import pytest

from services.policy.decision import Reason
from services.policy.model import Kind, Removed, SharingMode, Subscription
from services.policy.sharing import Coverage, alias_of, coverage
from tests.unit.policy.worlds import (
    CONSUMER,
    FOREIGN,
    GALLERY,
    IMAGES,
    OTHER_TENANT,
    SHARED_READ,
    SUBSCRIPTION,
    TENANT,
    ask,
    assign,
    grant,
    role,
    world,
)

HERE = Subscription(CONSUMER, TENANT, IMAGES)
THERE = Subscription(FOREIGN, OTHER_TENANT, IMAGES)
TWIN = f"{SUBSCRIPTION}/resourcegroups/other/galleries/golden"
ALIAS = "s1-golden"


def galleries(names):
    return [f"{SUBSCRIPTION}/resourcegroups/rg/galleries/{name}" for name in names]


def test_each_kind_of_coverage_is_told_by_its_name():
    assert [one.value for one in Coverage] == ["subscription", "tenant", "community"]


@pytest.mark.parametrize(
    ("blocked", "expected"),
    [
        ((), Coverage.SUBSCRIPTION),
        ((CONSUMER,), None),
        ((TENANT,), None),
        ((CONSUMER, TENANT), None),
        ((FOREIGN, OTHER_TENANT), Coverage.SUBSCRIPTION),
    ],
)
def test_either_block_is_enough(blocked, expected):
    shared = grant(subscriptions={CONSUMER}, tenants={TENANT}, blocked=blocked)
    assert coverage(shared, HERE) is expected


def test_a_private_gallery_covers_nobody_whomever_it_names():
    private = grant(SharingMode.PRIVATE, subscriptions={CONSUMER}, tenants={TENANT})
    assert coverage(private, HERE) is None
    assert world(private).sharing.shared_with(HERE) == ()


def test_the_grant_of_a_gallery_is_found_by_its_key():
    index = world(grant(subscriptions={CONSUMER}))
    found = index.sharing.of_gallery(GALLERY)
    assert found is not None
    assert found.gallery == GALLERY
    assert index.sharing.of_gallery(TWIN) is None


def test_shares_are_listed_by_shared_id_however_they_were_made():
    made = [
        grant(gallery=gallery, shared_id=f"id-{place}", subscriptions={CONSUMER})
        for place, gallery in enumerate(galleries("hgfedcba"))
    ]
    found = world(*reversed(made)).sharing.shared_with(HERE)
    assert [one.shared_id for one in found] == [f"id-{place}" for place in range(8)]


def test_community_galleries_are_listed_by_public_name_however_they_were_made():
    made = [
        grant(SharingMode.COMMUNITY, gallery, public_name=f"pub-{place}", community_enabled=True)
        for place, gallery in enumerate(galleries("hgfedcba"))
    ]
    found = world(*reversed(made)).sharing.communities(HERE)
    assert [one.public_name for one in found] == [f"pub-{place}" for place in range(8)]


def test_who_is_named_alone_sees_what_is_shared_with_them_alone():
    with_subscription = world(grant(subscriptions={CONSUMER})).sharing
    with_tenant = world(grant(tenants={TENANT})).sharing
    for sharing in (with_subscription, with_tenant):
        assert [one.gallery for one in sharing.shared_with(HERE)] == [GALLERY]
        assert sharing.shared_with(THERE) == ()


def test_a_share_that_blocks_whom_it_names_is_not_listed():
    index = world(grant(subscriptions={CONSUMER}, blocked={TENANT}))
    assert index.sharing.shared_with(HERE) == ()


def test_a_gallery_is_known_by_the_names_that_it_has():
    sharing = world(grant(shared_id="", subscriptions={CONSUMER})).sharing
    assert dict(sharing.by_shared_id) == {}
    assert dict(sharing.by_public_name) == {}
    assert dict(sharing.by_alias) == {ALIAS: frozenset({GALLERY})}
    assert dict(sharing.by_consumer) == {CONSUMER: frozenset({GALLERY})}


def test_only_a_gallery_in_a_subscription_has_the_originals_name():
    assert alias_of(GALLERY) == ALIAS
    assert alias_of("regions/r/galleries/g") is None
    assert dict(world(grant(gallery="regions/r/galleries/g")).sharing.by_alias) == {}


def test_what_is_closed_leaves_nothing_behind():
    opened = world(
        grant(public_name="pub", subscriptions={CONSUMER}, tenants={TENANT}, shared_id="id")
    )
    sharing = world(Removed(Kind.SHARING_GRANT, GALLERY), base=opened, revision=2).sharing
    left = (sharing.by_gallery, sharing.by_shared_id, sharing.by_public_name, sharing.by_alias)
    assert [dict(one) for one in (*left, sharing.by_consumer)] == [{}] * 5


def test_a_name_of_two_galleries_is_that_of_the_other_once_one_is_closed():
    index = world(
        role("*/read"),
        assign("r1", CONSUMER),
        grant(subscriptions={CONSUMER}),
        grant(gallery=TWIN, shared_id="opaque-2", subscriptions={CONSUMER}),
    )
    view = f"{CONSUMER}/locations/eastus/sharedGalleries/{ALIAS}"
    assert ask(index, SHARED_READ, view).reason is Reason.NOT_SHARED
    closed = world(Removed(Kind.SHARING_GRANT, TWIN), base=index, revision=2)
    assert ask(closed, SHARED_READ, view).grant == GALLERY
    assert dict(closed.sharing.by_alias) == {ALIAS: frozenset({GALLERY})}
    assert dict(closed.sharing.by_consumer) == {CONSUMER: frozenset({GALLERY})}


def test_a_name_that_covers_one_of_two_is_that_one():
    index = world(
        role("*/read"),
        assign("r1", CONSUMER),
        grant(subscriptions={CONSUMER}),
        grant(gallery=TWIN, shared_id="opaque-2", subscriptions={FOREIGN}),
    )
    view = f"{CONSUMER}/locations/eastus/sharedGalleries/{ALIAS}"
    assert ask(index, SHARED_READ, view).grant == GALLERY
