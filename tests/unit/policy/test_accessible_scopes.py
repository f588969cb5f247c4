"""What is listed as accessible is what a question about each scope allows (case 91)."""

import pytest

from services.kernel.names import ROOT, prefixes
from services.policy.accessible_scopes import AccessibleScopes, Effect, Entry
from services.policy.accessible_views import AccessibleViews, view_kind
from services.policy.model import EVERYONE, Plane, SharingMode, Transaction
from services.policy.scopes import Scope, ViewKind
from services.policy.search import Search
from tests.unit.policy import worlds
from tests.unit.policy.test_against_naive import DATA, PEOPLE, REGISTRY, SCOPES, World
from tests.unit.policy.worlds import (
    ALICE,
    CONSUMER,
    DEFINITION,
    FOREIGN,
    GALLERY,
    GROUP,
    IMAGES,
    NOW,
    OTHER_TENANT,
    PLATFORM,
    READ,
    ROOT_GROUP,
    SHARED_READ,
    SHARED_VERSION_READ,
    SUBSCRIPTION,
    TENANT,
    VERSION,
    ask,
    assign,
    deny,
    grant,
    role,
    world,
)

ROLE = role("*/read")
REGION = "regions/eastus"
UNIVERSE = [
    ROOT,
    TENANT,
    OTHER_TENANT,
    ROOT_GROUP,
    PLATFORM,
    IMAGES,
    f"{TENANT}/users/alice",
    SUBSCRIPTION,
    CONSUMER,
    FOREIGN,
    "subscriptions/unknown",
    REGION,
    GROUP,
    f"{SUBSCRIPTION}/resourcegroups/other",
    GALLERY,
    DEFINITION,
    VERSION,
    f"{DEFINITION}/versions/9.9.9",
    f"{CONSUMER}/resourcegroups/rg/galleries/x",
]
PLACES = [ROOT, TENANT, PLATFORM, IMAGES, SUBSCRIPTION, FOREIGN, GROUP, GALLERY, VERSION, REGION]


def listed(index, under=ROOT, *, caller=ALICE, action=READ, plane=Plane.CONTROL, expand=False):
    listing = AccessibleScopes(
        index,
        caller,
        action.lower(),
        under=Scope.parse(under),
        now=NOW,
        plane=plane,
        expand=expand,
    )
    return list(listing.entries())


def above(index, scope):
    """A scope and everything above it, written from the text of the hierarchy."""
    found = [*prefixes(scope)]
    subscription = index.directory.subscriptions.get(found[-1] if found else "")
    group = subscription.parent if subscription is not None else None
    if "/managementgroups/" in scope:
        group = "/".join(scope.split("/")[:4])
    while group is not None:
        found.append(group)
        group = index.directory.management_groups[group].parent
    if subscription is not None:
        found.append(subscription.tenant)
    return {*found, ROOT}


def covers(index, entries, scope):
    chain = above(index, scope)
    by = {effect: {one.scope for one in entries if one.effect is effect} for effect in Effect}
    return (
        bool(chain & by[Effect.ALLOWED])
        and not chain & by[Effect.DENIED]
        and scope not in by[Effect.DENIED_HERE]
    )


def random_world(seed):
    made = World(seed)
    places = [ROOT, TENANT, PLATFORM, SUBSCRIPTION, GROUP, REGION, f"{TENANT}/users/alice"]
    if seed % 2:
        # Grants of everything make room for denies.
        everything = role("*", data=("*",), id="all")
        made.changes += [everything, *(assign("all", made.one(places), id="x") for _ in range(2))]
    if seed % 3 == 0:
        here = deny(
            made.one([*SCOPES, *places]), ALICE, id="here", do_not_apply_to_child_scopes=True
        )
        made.changes.append(here)
    return world(*made.changes)


def test_lists_hold_exactly_what_a_question_about_each_allows():
    shapes = set()
    for seed in range(50):
        index = random_world(seed)
        for caller in PEOPLE[:2]:
            for action, plane in ((READ, Plane.CONTROL), (DATA, Plane.DATA)):
                for under in PLACES:
                    found = listed(index, under, caller=caller, action=action, plane=plane)
                    shapes.add(tuple(one.effect for one in found))
                    for scope in UNIVERSE:
                        asked = ask(index, action, scope, caller, plane=plane, registry=REGISTRY)
                        expected = asked.allowed and under in above(index, scope)
                        assert covers(index, found, scope) is expected, (seed, under, scope)
    assert len(shapes) > 8


def test_lists_are_minimal_and_ordered():
    for seed in range(50):
        index = random_world(seed)
        for under in PLACES:
            found = listed(index, under)
            assert found == sorted(found, key=lambda one: (one.scope, one.effect.value))
            allowed = {one.scope for one in found if one.effect is Effect.ALLOWED}
            for one in found:
                over = above(index, one.scope) - {one.scope}
                if one.effect is Effect.ALLOWED:
                    assert not over & allowed, (seed, found)
                else:
                    assert (over | {one.scope}) & allowed, (seed, found)


def test_expanded_lists_name_prefixes_alone():
    shapes = set()
    for seed in range(50):
        index = random_world(seed)
        for under in PLACES:
            found = listed(index, under, expand=True)
            by = {effect: {one.scope for one in found if one.effect is effect} for effect in Effect}
            shapes.add(tuple(one.effect for one in found))
            for scope in UNIVERSE:
                own = set(prefixes(scope))
                if not any(one in index.directory.subscriptions for one in own):
                    continue
                within = own & by[Effect.ALLOWED] and not own & by[Effect.DENIED]
                expected = ask(index, READ, scope).allowed and under in above(index, scope)
                assert bool(within and scope not in by[Effect.DENIED_HERE]) is expected, seed
            assert not any(one.scope in {ROOT, TENANT, PLATFORM, ROOT_GROUP} for one in found)
    assert len(shapes) > 8


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("expand", [False, True])
def test_pages_go_on_after_the_entry_before(size, expand):
    for seed in range(40):
        index = random_world(seed)
        listing = AccessibleScopes(
            index, ALICE, READ.lower(), under=Scope.parse(ROOT), now=NOW, expand=expand
        )
        whole, found, last = list(listing.entries()), [], None
        while page := [one for one, _ in zip(listing.entries(last), range(size), strict=False)]:
            found += page
            last = page[-1]
        assert found == whole


@pytest.mark.parametrize("under", [ROOT, TENANT, PLATFORM, SUBSCRIPTION, GALLERY, REGION])
@pytest.mark.parametrize("expand", [False, True])
def test_what_comes_after_an_entry_is_the_rest(under, expand):
    places = [ROOT, TENANT, PLATFORM, SUBSCRIPTION, GALLERY, REGION]
    index = world(
        ROLE,
        *(assign("r1", one, id=f"a{number}") for number, one in enumerate(places)),
        *(deny(one, ALICE, do_not_apply_to_child_scopes=True) for one in places if one != ROOT),
        deny(VERSION, EVERYONE),
    )
    listing = AccessibleScopes(
        index, ALICE, READ.lower(), under=Scope.parse(under), now=NOW, expand=expand
    )
    whole = list(listing.entries())
    assert {one.effect for one in whole} >= {Effect.ALLOWED, Effect.DENIED_HERE}
    for place, entry in enumerate(whole):
        assert list(listing.entries(entry)) == whole[place + 1 :]


def test_a_neighbour_whose_name_begins_alike_is_listed_for_itself_alone():
    neighbour = f"{GROUP}-2"
    index = world(ROLE, assign("r1", GROUP), assign("r1", neighbour))
    assert listed(index) == [Entry(GROUP, Effect.ALLOWED), Entry(neighbour, Effect.ALLOWED)]
    assert listed(index, GROUP) == [Entry(GROUP, Effect.ALLOWED)]


def test_below_what_is_denied_nothing_is_listed():
    index = world(ROLE, assign("r1", ROOT), assign("r1", DEFINITION), deny(GROUP, ALICE))
    also = index.apply(Transaction(2, (deny(GALLERY, ALICE), assign("r1", VERSION))))
    for one in (index, also):
        assert listed(one) == [Entry(ROOT, Effect.ALLOWED), Entry(GROUP, Effect.DENIED)]


def test_a_region_stays_where_the_installation_is_replaced():
    index = world(ROLE, assign("r1", REGION))
    assert listed(index, expand=True) == [Entry(REGION, Effect.ALLOWED)]
    assert listed(index) == [Entry(REGION, Effect.ALLOWED)]


def test_the_installation_is_one_entry():
    index = world(ROLE, assign("r1", ROOT), assign("r1", GALLERY))
    assert listed(index) == [Entry(ROOT, Effect.ALLOWED)]
    assert [one.scope for one in listed(index, expand=True)] == [SUBSCRIPTION, CONSUMER, FOREIGN]
    assert [one.scope for one in listed(index, TENANT, expand=True)] == [SUBSCRIPTION, CONSUMER]
    assert listed(index, GALLERY) == [Entry(GALLERY, Effect.ALLOWED)]


def test_a_list_under_what_a_tenant_holds_goes_by_names():
    user = f"{TENANT}/users/alice"
    below = f"{user}/devices/d"
    index = world(ROLE, assign("r1", TENANT), assign("r1", f"{user}-2"), deny(below, ALICE))
    assert listed(index, user) == [Entry(user, Effect.ALLOWED), Entry(below, Effect.DENIED)]
    assert listed(index, f"{below}/x/y") == []
    assert listed(index, f"{user}/x/y") == [Entry(f"{user}/x/y", Effect.ALLOWED)]


@pytest.fixture
def judged(monkeypatch):
    """The nodes at which it was judged what is held."""
    nodes = []
    grants = Search.grants

    def watched(self, node):
        nodes.append(node)
        return grants(self, node)

    monkeypatch.setattr(Search, "grants", watched)
    return nodes


MANY = [f"{GROUP}/galleries/g{number:04}" for number in range(2000)]


def test_a_page_looks_at_no_more_scopes_than_it_needs(judged):
    index = world(ROLE, *(assign("r1", scope) for scope in MANY))
    listing = AccessibleScopes(index, ALICE, READ.lower(), under=Scope.parse(ROOT), now=NOW)
    after = Entry(MANY[1499], Effect.ALLOWED)
    page = [one.scope for one, _ in zip(listing.entries(after), range(100), strict=False)]
    assert page == MANY[1500:1600]
    assert len(judged) <= 102


def test_what_is_held_below_what_is_allowed_is_not_looked_at(judged):
    below = [assign("r1", f"{scope}/images/i") for scope in MANY]
    index = world(ROLE, *below, assign("r1", GROUP), deny(f"{GROUP}-2", ALICE))
    assert listed(index) == [Entry(GROUP, Effect.ALLOWED)]
    assert len(judged) == 1


def test_what_is_denied_below_what_is_allowed_is_found_among_what_is_held_there():
    below = [assign("r1", f"{scope}/images/i") for scope in MANY[:20]]
    denied, here = f"{MANY[7]}/images/i", f"{MANY[9]}/images"
    spared = deny(here + "/j", ALICE, do_not_apply_to_child_scopes=True)
    index = world(ROLE, *below, assign("r1", GROUP), deny(denied, EVERYONE), spared)
    assert listed(index) == [
        Entry(GROUP, Effect.ALLOWED),
        Entry(denied, Effect.DENIED),
        Entry(here + "/j", Effect.DENIED_HERE),
    ]


# Views.

EAST = f"{CONSUMER}/locations/east"
VIEW = f"{EAST}/sharedgalleries/opaque-1"
VIEW_PLACES = [
    CONSUMER,
    SUBSCRIPTION,
    FOREIGN,
    PLATFORM,
    ROOT,
    EAST,
    f"{CONSUMER}/locations/east-2",
    VIEW,
    f"{VIEW}/images/i",
    f"{VIEW}/images/i/versions/1.0.0",
    f"{EAST}/sharedgalleries/opaque-2",
]
VIEW_UNIVERSE = [
    f"{subscription}/locations/{location}/sharedgalleries/{gallery}{below}"
    for subscription in (CONSUMER, SUBSCRIPTION, FOREIGN)
    for location in ("east", "east-2", "west")
    for gallery in ("opaque-1", "opaque-2", "opaque-3")
    for below in ("", "/images/i", "/images/i/versions/1.0.0", "/images/i-2")
]


def views(index, under=ROOT, action=SHARED_VERSION_READ, caller=ALICE):
    kind = view_kind(action.lower())
    assert kind is not None
    listing = AccessibleViews(
        index, caller, action.lower(), kind=kind, under=Scope.parse(under), now=NOW
    )
    return list(listing.entries())


def view_covers(entries, scope):
    parts = scope.split("/")
    anywhere = "/".join([*parts[:3], "-", *parts[4:]])
    chain = {*prefixes(scope), *prefixes(anywhere)}
    by = {effect: {one.scope for one in entries if one.effect is effect} for effect in Effect}
    return (
        bool(chain & by[Effect.ALLOWED])
        and not chain & by[Effect.DENIED]
        and scope not in by[Effect.DENIED_HERE]
    )


def random_views(seed):
    made = World(seed)
    consumers = [CONSUMER, SUBSCRIPTION, FOREIGN]
    for number in (1, 2, 3):
        shared = grant(
            gallery=f"{GROUP}/galleries/g{number}",
            shared_id="opaque-2" if number == 3 else f"opaque-{number}",
            subscriptions=made.some(consumers, 3),
            tenants=made.some([TENANT, OTHER_TENANT], 1),
            blocked=made.some(consumers, 1),
        )
        made.changes.append(shared)
    made.changes += [
        assign(made.one(["r0", "r1", "reads"]), made.one(VIEW_PLACES), id=f"v{number}")
        for number in range(4)
    ]
    made.changes.append(role("*/read", id="reads"))
    made.changes += [
        deny(
            made.one(VIEW_PLACES[3:]),
            made.one([ALICE, EVERYONE]),
            id=f"v{number}",
            do_not_apply_to_child_scopes=made.random.random() < 0.3,
        )
        for number in range(made.random.randrange(3))
    ]
    return world(*made.changes)


def test_views_are_listed_exactly_where_a_question_allows_them():
    shapes = set()
    for seed in range(120):
        index = random_views(seed)
        for action in (SHARED_READ, SHARED_VERSION_READ):
            for under in (ROOT, TENANT, CONSUMER, EAST, VIEW, f"{VIEW}/images/i", GALLERY):
                found = views(index, under, action)
                assert found == sorted(found, key=lambda one: (one.scope, one.effect.value))
                shapes.add(tuple((one.effect, "/-/" in one.scope) for one in found))
                for scope in VIEW_UNIVERSE:
                    asked = ask(index, action, scope)
                    expected = asked.allowed and under in above(index, scope)
                    assert view_covers(found, scope) is expected, (seed, under, scope, asked)
    assert len(shapes) > 20


def test_a_view_by_its_other_name_is_found_under_it():
    index = world(ROLE, grant(subscriptions=[CONSUMER]), assign("r1", CONSUMER))
    other = f"{EAST}/sharedgalleries/s1-golden"
    assert views(index, other) == [Entry(other, Effect.ALLOWED)]


def test_community_galleries_are_in_every_subscription_of_the_reader():
    open_ = grant(SharingMode.COMMUNITY, public_name="pub", community_enabled=True)
    index = world(ROLE, open_, assign("r1", PLATFORM))
    found = views(index, action=worlds.COMMUNITY_READ)
    assert [one.scope for one in found] == [
        f"{SUBSCRIPTION}/locations/-/communitygalleries/pub",
        f"{CONSUMER}/locations/-/communitygalleries/pub",
    ]
    assert views(index) == []


def test_only_actions_of_views_have_a_kind():
    assert view_kind(SHARED_READ.lower()) is ViewKind.SHARED
    assert view_kind(worlds.COMMUNITY_READ.lower()) is ViewKind.COMMUNITY
    assert view_kind(READ.lower()) is None
    assert view_kind("microsoft.compute/locations/usages/read") is None
