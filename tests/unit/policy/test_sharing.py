import pytest

from services.policy.decision import Reason
from services.policy.model import Kind, Removed, SharingMode, Subscription
from tests.unit.policy.worlds import (
    ALICE,
    COMMUNITY_READ,
    CONSUMER,
    FOREIGN,
    GALLERY,
    IMAGES,
    OTHER_TENANT,
    READ,
    SHARED_READ,
    SHARED_VERSION_READ,
    SUBSCRIPTION,
    TENANT,
    ask,
    assign,
    deny,
    grant,
    role,
    user,
    world,
)

VIEW = f"{CONSUMER}/locations/eastus/sharedGalleries/opaque-1"
FOREIGN_VIEW = f"{FOREIGN}/locations/eastus/sharedGalleries/opaque-1"
COMMUNITY = f"{CONSUMER}/locations/eastus/communityGalleries/pub-1"
CAROL = user("carol", OTHER_TENANT)
READER = (role("*/read"), assign("r1", CONSUMER), assign("r1", FOREIGN, CAROL))


def community(**more):
    more.setdefault("community_enabled", True)
    return grant(SharingMode.COMMUNITY, shared_id="", public_name="pub-1", **more)


def test_a_share_with_a_subscription_opens_the_view_and_names_the_grant():
    index = world(*READER, grant(subscriptions={CONSUMER}))
    decision = ask(index, SHARED_READ, VIEW)
    assert (decision.allowed, decision.reason) == (True, Reason.SHARED_SUBSCRIPTION)
    assert decision.grant == GALLERY
    assert ask(index, SHARED_VERSION_READ, f"{VIEW}/images/ubuntu/versions/1.0.0").allowed


def test_a_share_with_a_tenant_opens_the_view_to_its_subscriptions_only():
    index = world(*READER, grant(tenants={OTHER_TENANT}))
    assert ask(index, SHARED_READ, FOREIGN_VIEW, CAROL).reason is Reason.SHARED_TENANT
    assert ask(index, SHARED_READ, VIEW).reason is Reason.NOT_SHARED


def test_the_consumer_needs_the_action_in_their_own_subscription():
    index = world(role("*/read"), assign("r1", SUBSCRIPTION), grant(subscriptions={CONSUMER}))
    assert ask(index, SHARED_READ, VIEW).reason is Reason.NO_MATCHING_GRANT


def test_a_role_without_the_views_action_does_not_open_it():
    index = world(role(READ), assign("r1", CONSUMER), grant(subscriptions={CONSUMER}))
    assert ask(index, SHARED_READ, VIEW).reason is Reason.ACTION_NOT_IN_ROLE


def test_a_deny_in_the_consumers_subscription_is_not_bypassed_by_a_share():
    index = world(*READER, grant(subscriptions={CONSUMER}), deny(CONSUMER, ALICE))
    assert ask(index, SHARED_READ, VIEW).reason is Reason.DENY_ASSIGNMENT


def test_a_deny_on_the_private_gallery_leaves_consumers_alone():
    index = world(*READER, grant(subscriptions={CONSUMER}), deny(GALLERY, ALICE))
    assert ask(index, SHARED_READ, VIEW).allowed


@pytest.mark.parametrize(
    "action",
    [
        "Microsoft.Compute/galleries/images/versions/write",
        "Microsoft.Compute/galleries/read",
        "Microsoft.Compute/galleries/share/action",
        COMMUNITY_READ,
    ],
)
def test_a_view_knows_its_own_reads_only(action):
    index = world(role("*"), assign("r1", "/"), grant(subscriptions={CONSUMER}))
    assert ask(index, action, VIEW).reason is Reason.PROXY_READ_ONLY


@pytest.mark.parametrize(
    "shared",
    [
        (),
        (grant(subscriptions={FOREIGN}),),
        (grant(SharingMode.PRIVATE, subscriptions={CONSUMER}),),
        (grant(SharingMode.COMMUNITY, subscriptions={CONSUMER}, community_enabled=True),),
        (grant(subscriptions={CONSUMER}, shared_id="opaque-2"),),
        (grant(subscriptions={CONSUMER}, blocked={TENANT}),),
        (grant(subscriptions={CONSUMER}), Removed(Kind.SHARING_GRANT, GALLERY)),
        (grant(subscriptions={CONSUMER}), grant(subscriptions={FOREIGN})),
    ],
)
def test_what_is_absent_unshared_or_withdrawn_looks_alike(shared):
    assert ask(world(*READER, *shared), SHARED_READ, VIEW).reason is Reason.NOT_SHARED


def test_a_consumer_subscription_that_is_not_known_sees_nothing():
    unknown = "subscriptions/s9"
    index = world(role("*/read"), assign("r1", unknown), community())
    view = f"{unknown}/locations/eastus/communityGalleries/pub-1"
    assert ask(index, COMMUNITY_READ, view).reason is Reason.NOT_SHARED


def test_a_community_gallery_is_open_to_every_subscription_once_enabled():
    index = world(*READER, community())
    assert ask(index, COMMUNITY_READ, COMMUNITY).reason is Reason.COMMUNITY
    foreign = f"{FOREIGN}/locations/x/communityGalleries/PUB-1"
    assert ask(index, COMMUNITY_READ, foreign, CAROL).allowed
    off = world(*READER, community(community_enabled=False))
    assert ask(off, COMMUNITY_READ, COMMUNITY).reason is Reason.NOT_SHARED


@pytest.mark.parametrize("blocked", [CONSUMER, TENANT])
def test_a_blocked_subscription_or_tenant_sees_no_community_gallery(blocked):
    index = world(*READER, community(blocked={blocked}))
    assert ask(index, COMMUNITY_READ, COMMUNITY).reason is Reason.NOT_SHARED
    foreign = f"{FOREIGN}/locations/x/communityGalleries/pub-1"
    assert ask(index, COMMUNITY_READ, foreign, CAROL).allowed


def test_the_originals_name_is_an_alias_for_those_whom_the_share_covers():
    alias = f"{CONSUMER}/locations/eastus/sharedGalleries/s1-GOLDEN"
    foreign = f"{FOREIGN}/locations/eastus/sharedGalleries/s1-GOLDEN"
    index = world(*READER, grant(subscriptions={CONSUMER}))
    assert ask(index, SHARED_READ, alias).reason is Reason.SHARED_SUBSCRIPTION
    assert ask(index, SHARED_READ, foreign, CAROL).reason is Reason.NOT_SHARED


def test_two_galleries_that_answer_to_one_name_are_neither():
    twin = f"{SUBSCRIPTION}/resourcegroups/other/galleries/golden"
    alias = f"{CONSUMER}/locations/eastus/sharedGalleries/s1-GOLDEN"
    index = world(
        *READER,
        grant(subscriptions={CONSUMER}),
        grant(gallery=twin, shared_id="opaque-2", subscriptions={CONSUMER}),
    )
    assert ask(index, SHARED_READ, alias).reason is Reason.NOT_SHARED
    assert ask(index, SHARED_READ, VIEW).allowed


def test_the_shares_that_cover_a_subscription_are_listed():
    two = f"{SUBSCRIPTION}/resourcegroups/rg/galleries/two"
    three = f"{SUBSCRIPTION}/resourcegroups/rg/galleries/three"
    index = world(
        grant(subscriptions={CONSUMER}, shared_id="b"),
        grant(gallery=two, tenants={TENANT}, shared_id="a"),
        grant(gallery=three, subscriptions={FOREIGN}, shared_id="c"),
    )
    consumer = Subscription(CONSUMER, TENANT, IMAGES)
    assert [one.gallery for one in index.sharing.shared_with(consumer)] == [two, GALLERY]
    assert index.sharing.communities(consumer) == ()


def test_the_community_galleries_open_to_a_subscription_are_listed():
    two = f"{SUBSCRIPTION}/resourcegroups/rg/galleries/two"
    blocked = grant(
        SharingMode.COMMUNITY, two, public_name="pub-0", community_enabled=True, blocked={TENANT}
    )
    index = world(community(), blocked)
    names = [
        [one.public_name for one in index.sharing.communities(consumer)]
        for consumer in (
            Subscription(CONSUMER, TENANT, IMAGES),
            Subscription(FOREIGN, OTHER_TENANT, IMAGES),
        )
    ]
    assert names == [["pub-1"], ["pub-0", "pub-1"]]


def test_a_grant_that_is_replaced_leaves_no_name_behind():
    first = world(*READER, grant(subscriptions={CONSUMER}))
    second = world(grant(subscriptions={CONSUMER}, shared_id="opaque-2"), base=first, revision=2)
    assert ask(second, SHARED_READ, VIEW).reason is Reason.NOT_SHARED
    renamed = VIEW.replace("opaque-1", "opaque-2")
    assert ask(second, SHARED_READ, renamed).allowed


def test_the_grant_behind_a_view_is_looked_up_by_its_name():
    index = world(grant(subscriptions={CONSUMER}, allow_copy=True))
    found = index.view_grant(f"{VIEW}/images/ubuntu")
    assert found is not None
    assert (found.gallery, found.allow_copy) == (GALLERY, True)
    assert index.view_grant(FOREIGN_VIEW) is None
    assert index.view_grant(GALLERY) is None
    assert index.view_grant("subscriptions/s9/locations/l/sharedGalleries/opaque-1") is None
