"""What a root remembers, what lies on a chain, and what a removal takes along."""

import gc
import weakref

import pytest

from services.policy import index as module
from services.policy.decision import Decision, Reason
from services.policy.index import empty_index, load_index
from services.policy.model import (
    Kind,
    MemberRemoved,
    Plane,
    Removed,
    ScopeTombstone,
    SharingMode,
    Tenant,
    Transaction,
)
from services.policy.scopes import Scope
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    CONSUMER,
    FOREIGN,
    GALLERY,
    GROUP,
    HIERARCHY,
    IMAGES,
    PLATFORM,
    PRINCIPALS,
    READ,
    ROOT_GROUP,
    SUBSCRIPTION,
    TENANT,
    VERSION,
    ask,
    assign,
    deny,
    grant,
    group,
    member,
    role,
    world,
)


def held_along(index, scope):
    return [one.scope for node in index.chain(Scope.parse(scope)) for one in node.held]


EVERYWHERE = ["/", TENANT, ROOT_GROUP, PLATFORM, IMAGES, SUBSCRIPTION, GROUP, GALLERY]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (VERSION, EVERYWHERE[::-1]),
        (GALLERY, EVERYWHERE[::-1]),
        (f"{GROUP}/galleries/other", EVERYWHERE[-2::-1]),
        (f"{SUBSCRIPTION}/resourcegroups/other/galleries/golden", EVERYWHERE[-3::-1]),
        (CONSUMER, [PLATFORM, ROOT_GROUP, TENANT, "/"]),
        (FOREIGN, ["/"]),
        ("subscriptions/unknown", ["/"]),
        (IMAGES, [IMAGES, TENANT, PLATFORM, ROOT_GROUP, "/"]),
        (f"{TENANT}/users/alice", [TENANT, "/"]),
        ("regions/eastus", ["/"]),
        (f"regions/eastus/{TENANT}", ["/"]),
        ("/", ["/"]),
    ],
)
def test_a_chain_holds_every_node_above_a_scope_and_none_beside_it(scope, expected):
    index = world(*(assign("r1", one, id=f"a{place}") for place, one in enumerate(EVERYWHERE)))
    for _ in range(2):
        assert held_along(index, scope) == expected


def test_what_is_above_a_management_group_and_above_its_subscriptions_differ():
    index = world(*(assign("r1", one, id=f"a{place}") for place, one in enumerate(EVERYWHERE)))
    for _ in range(2):
        assert held_along(index, PLATFORM) == [PLATFORM, TENANT, ROOT_GROUP, "/"]
        assert held_along(index, CONSUMER) == [PLATFORM, ROOT_GROUP, TENANT, "/"]


def test_subscriptions_of_different_groups_have_different_chains_at_one_root():
    index = world(*(assign("r1", one, id=f"a{place}") for place, one in enumerate(EVERYWHERE)))
    for _ in range(2):
        assert held_along(index, SUBSCRIPTION) == EVERYWHERE[5::-1]
        assert held_along(index, CONSUMER) == [PLATFORM, ROOT_GROUP, TENANT, "/"]
        assert held_along(index, FOREIGN) == held_along(index, "subscriptions/unknown") == ["/"]


def test_management_groups_and_what_lies_in_none_have_different_chains_at_one_root():
    index = world(*(assign("r1", one, id=f"a{place}") for place, one in enumerate(EVERYWHERE)))
    for _ in range(2):
        assert held_along(index, "regions/eastus") == ["/"]
        assert held_along(index, IMAGES) == [IMAGES, TENANT, PLATFORM, ROOT_GROUP, "/"]
        assert held_along(index, PLATFORM) == [PLATFORM, TENANT, ROOT_GROUP, "/"]
        assert held_along(index, TENANT) == [TENANT, "/"]


def test_the_grant_behind_a_view_is_told_where_it_covers_the_subscription():
    index = world(grant(subscriptions={CONSUMER}))
    below = "locations/x/sharedgalleries/opaque-1/images/ubuntu"
    found = index.view_grant(f"{CONSUMER}/{below}")
    assert found is not None
    assert found.gallery == GALLERY
    for elsewhere in (FOREIGN, "subscriptions/unknown"):
        assert index.view_grant(f"{elsewhere}/{below}") is None
    assert index.view_grant(f"{CONSUMER}/locations/x/sharedgalleries/other") is None
    assert index.view_grant(GALLERY) is None


def test_a_node_is_found_where_something_is_held_at_or_below_it():
    index = world(assign("r1", GALLERY))
    assert index.find(Scope.parse("/")) is index.tree
    for scope in (SUBSCRIPTION, GROUP, GALLERY):
        assert index.find(Scope.parse(scope)) is not None
    for scope in (VERSION, CONSUMER, f"{GROUP}/galleries/other", f"{CONSUMER}/resourcegroups/rg"):
        assert index.find(Scope.parse(scope)) is None


def test_decisions_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    index = empty_index()
    decisions = [Decision(False, Reason.NO_MATCHING_GRANT, 0, f"d{number}") for number in range(3)]
    keys = [("caller", "action", Plane.CONTROL, f"s/{number}") for number in range(3)]
    assert index.remembered(keys[0]) is None
    for place in (0, 1):
        index.remember(keys[place], decisions[place])
    assert [index.remembered(one) for one in keys] == [*decisions[:2], None]
    index.remember(keys[2], decisions[2])
    assert [index.remembered(one) for one in keys] == [None, None, decisions[2]]


def test_an_empty_root_is_the_first_of_its_log():
    index = empty_index()
    assert (index.epoch, index.revision, index.tree.is_empty()) == (0, 0, True)
    assert (empty_index(3, 4).epoch, empty_index(3, 4).revision) == (3, 4)
    assert dict(index.holders) == dict(index.denied) == {}


@pytest.mark.parametrize("collected", [True, False])
def test_a_snapshot_is_loaded_and_the_garbage_collector_left_as_it_was(collected):
    was_enabled = gc.isenabled()
    try:
        (gc.enable if collected else gc.disable)()
        changes = (*HIERARCHY, *PRINCIPALS, role(READ), assign("r1", GALLERY))
        loaded = load_index(7, 9, changes)
        assert gc.isenabled() is collected
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        (gc.enable if was_enabled else gc.disable)()
    assert (loaded.epoch, loaded.revision) == (7, 9)
    assert ask(loaded, READ, VERSION).allowed
    assert dict(loaded.holders) == {ALICE: (GALLERY,)}


@pytest.fixture
def collector():
    was_enabled = gc.isenabled()
    gc.enable()
    yield
    gc.unfreeze()
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.usefixtures("collector")
def test_nothing_is_collected_while_a_snapshot_is_read():
    during = []

    def snapshot():
        during.append(gc.isenabled())
        yield from HIERARCHY

    load_index(1, 1, snapshot())
    assert during == [False]


@pytest.mark.usefixtures("collector")
def test_what_a_snapshot_replaces_is_collected_though_it_was_kept_from_the_collector():
    class Knot:
        """Only the collector frees what refers to itself."""

        def __init__(self) -> None:
            self.own = self

    knot = Knot()
    left = weakref.ref(knot)
    load_index(1, 1, HIERARCHY)
    del knot
    assert left() is not None
    load_index(1, 2, HIERARCHY)
    assert left() is None


def test_a_root_knows_who_is_named_where_and_its_successor_keeps_the_epoch():
    first = load_index(7, 1, (assign("r1", GALLERY), deny(GROUP, BOB)))
    second = first.apply(Transaction(2, (assign("r1", GROUP),)))
    assert dict(second.holders) == {ALICE: (GROUP, GALLERY)}
    assert dict(second.denied) == {BOB: (GROUP,)}
    assert (second.epoch, second.revision) == (7, 2)


def below(scope, place):
    return (
        assign("r1", scope, id=f"a{place}", revision=1),
        deny(scope, BOB, id=f"d{place}", revision=1),
    )


def test_a_management_group_and_a_tenant_take_along_what_is_held_at_them():
    index = world(Tenant(TENANT), *below(PLATFORM, 1), *below(TENANT, 2), *below(CONSUMER, 3))
    assert TENANT in index.directory.tenants
    without_group = index.apply(Transaction(2, (Removed(Kind.MANAGEMENT_GROUP, PLATFORM),)))
    assert without_group.find(Scope.parse(PLATFORM)) is None
    assert PLATFORM not in without_group.directory.management_groups
    assert dict(without_group.holders) == {ALICE: (CONSUMER, TENANT)}
    without_tenant = index.apply(Transaction(2, (Removed(Kind.TENANT, TENANT),)))
    assert list(without_tenant.tree.children) == [CONSUMER]
    assert dict(without_tenant.denied) == {BOB: (CONSUMER,)}
    assert TENANT not in without_tenant.directory.tenants


def test_who_is_in_a_group_is_until_they_are_removed():
    first, second = group("g1"), group("g2")
    index = world(member(first, ALICE), member(second, ALICE))
    assert index.directory.identities(ALICE) == {ALICE, first, second}
    left = index.apply(Transaction(2, (MemberRemoved(first, ALICE),)))
    assert left.directory.identities(ALICE) == {ALICE, second}


def test_a_principal_and_a_role_that_are_removed_leave_what_names_them():
    index = world(role(READ), assign("r1", GALLERY)).apply(
        Transaction(2, (Removed(Kind.PRINCIPAL, ALICE), Removed(Kind.ROLE_DEFINITION, "r1")))
    )
    assert ALICE not in index.directory.principals
    assert "r1" not in index.directory.roles
    assert dict(index.holders) == {ALICE: (GALLERY,)}


def test_the_share_of_a_gallery_is_kept_at_its_scope_and_goes_with_it():
    shared = grant(SharingMode.COMMUNITY, public_name="pub", community_enabled=True, revision=1)
    index = world(shared)
    node = index.find(Scope.parse(GALLERY))
    assert node is not None
    assert node.grant == shared
    closed = index.apply(Transaction(2, (Removed(Kind.SHARING_GRANT, GALLERY),)))
    buried = index.apply(Transaction(2, (ScopeTombstone(SUBSCRIPTION, "uid", 2),)))
    for one in (closed, buried):
        assert one.find(Scope.parse(GALLERY)) is None
        assert one.sharing.of_gallery(GALLERY) is None


@pytest.mark.parametrize(("revision", "kept"), [(1, False), (2, True), (3, True)])
def test_a_tombstone_that_is_repeated_takes_what_stood_before_it_alone(revision, kept):
    index = world(assign("r1", GALLERY, revision=revision), revision=3)
    repeated = index.apply(Transaction(4, (ScopeTombstone(GALLERY, "uid", 2),)))
    assert bool(repeated.holders) is kept


@pytest.mark.parametrize(("revision", "kept"), [(3, False), (4, False), (5, True)])
def test_a_new_tombstone_takes_what_its_own_transaction_wrote_before_it(revision, kept):
    index = world(assign("r1", GALLERY, revision=revision), revision=3)
    buried = index.apply(Transaction(4, (ScopeTombstone(GALLERY, "uid", 4),)))
    assert bool(buried.holders) is kept
