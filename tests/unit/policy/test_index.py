import pytest

from services.policy.decision import Reason
from services.policy.index import empty_index
from services.policy.model import Kind, Removed, ScopeTombstone, SharingMode, Transaction
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    COMMUNITY_READ,
    CONSUMER,
    DEFINITION,
    GALLERY,
    GROUP,
    READ,
    SUBSCRIPTION,
    VERSION,
    ask,
    assign,
    deny,
    eligible,
    grant,
    group,
    member,
    role,
    world,
)


def after(index, *changes, revision):
    return index.apply(Transaction(revision, changes))


def test_a_transaction_leaves_its_predecessor_as_it_was():
    before = world(role(READ), assign("r1", GALLERY))
    gone = after(before, Removed(Kind.ROLE_ASSIGNMENT, f"{GALLERY}/roleassignments/r1-alice"),
                 deny(GALLERY, BOB), member(group("g1"), BOB), revision=2)  # fmt: skip
    assert ask(before, READ, VERSION).allowed
    assert ask(before, READ, VERSION, BOB).reason is Reason.NO_MATCHING_GRANT
    assert not ask(gone, READ, VERSION).allowed
    assert ask(gone, READ, VERSION, BOB).reason is Reason.DENY_ASSIGNMENT
    assert (before.revision, gone.revision) == (1, 2)


def test_all_changes_of_a_transaction_appear_together():
    # A grant and the deny that fences it, in either order: no root has one without the other.
    first = world(role(READ))
    for changes in (
        (assign("r1", GALLERY), deny(GALLERY, ALICE)),
        (deny(GALLERY, ALICE), assign("r1", GALLERY)),
    ):
        assert ask(first, READ, VERSION).reason is Reason.NO_MATCHING_GRANT
        assert ask(after(first, *changes, revision=2), READ, VERSION).reason is (
            Reason.DENY_ASSIGNMENT
        )


@pytest.mark.parametrize("revision", [0, 1])
def test_a_transaction_that_is_not_newer_is_refused(revision):
    with pytest.raises(ValueError, match="not newer"):
        after(world(), role(READ), revision=revision)


def test_a_transaction_in_one_subscription_shares_all_others():
    before = world(role(READ), assign("r1", GALLERY), assign("r1", CONSUMER))
    changed = after(before, assign("r1", GALLERY, BOB), revision=2)
    assert changed.tree.children.get(CONSUMER) is before.tree.children.get(CONSUMER)
    assert changed.tree.children.get(SUBSCRIPTION) is not before.tree.children.get(SUBSCRIPTION)
    assert changed.directory is before.directory


def test_removing_every_kind_leaves_an_empty_tree():
    held = after(
        empty_index(),
        assign("r1", GALLERY),
        eligible("r1", GALLERY),
        deny(GALLERY, ALICE),
        grant(subscriptions={CONSUMER}),
        revision=1,
    )
    bare = after(
        held,
        Removed(Kind.ROLE_ASSIGNMENT, f"{GALLERY}/roleassignments/r1-alice"),
        Removed(Kind.ELIGIBLE_ASSIGNMENT, f"{GALLERY}/eligibleassignments/r1-alice"),
        Removed(Kind.DENY_ASSIGNMENT, f"{GALLERY}/denyassignments/d1"),
        Removed(Kind.SHARING_GRANT, GALLERY),
        revision=2,
    )
    assert not held.tree.is_empty()
    assert bare.tree.is_empty()


def test_an_assignment_at_the_installation_is_removed_by_its_name():
    held = world(role(READ), assign("r1", "/"))
    assert ask(held, READ, VERSION).allowed
    gone = after(held, Removed(Kind.ROLE_ASSIGNMENT, "roleassignments/r1-alice"), revision=2)
    assert not ask(gone, READ, VERSION).allowed


def test_an_assignment_that_is_put_again_replaces_itself():
    held = world(role(READ), role(READ, id="r2"), assign("r1", GALLERY, id="a"))
    put = after(held, assign("r2", GALLERY, id="a"), revision=2)
    gone = after(put, Removed(Kind.ROLE_ASSIGNMENT, f"{GALLERY}/roleassignments/a"), revision=3)
    assert ask(put, READ, VERSION).allowed
    assert not ask(gone, READ, VERSION).allowed


BELOW = (
    assign("r1", DEFINITION, revision=1),
    assign("r1", VERSION, BOB, revision=1),
    eligible("r1", GALLERY, BOB, revision=1),
    deny(VERSION, group("g1"), revision=1),
    grant(
        SharingMode.COMMUNITY,
        f"{GROUP}/galleries/golden",
        public_name="pub",
        community_enabled=True,
        revision=1,
    ),
)


def test_a_tombstone_takes_everything_at_and_below_its_scope():
    held = world(role("*"), assign("r1", GROUP, BOB, id="above", revision=1), *BELOW)
    buried = after(held, ScopeTombstone(GALLERY, "uid-1", 2), revision=2)
    assert ask(held, READ, VERSION).allowed
    assert not ask(buried, READ, VERSION).allowed
    assert buried.sharing.of_gallery(GALLERY) is None
    group_node = buried.tree.children.get(SUBSCRIPTION)
    assert group_node is not None
    (rg,) = group_node.children.values()
    assert len(rg.children) == 0
    assert ask(buried, READ, VERSION, BOB).assignment == f"{GROUP}/roleassignments/above"


def test_a_tombstone_closes_community_galleries_below_it():
    view = f"{CONSUMER}/locations/x/communityGalleries/pub"
    held = world(role("*"), assign("r1", CONSUMER), *BELOW)
    assert ask(held, COMMUNITY_READ, view).allowed
    buried = after(held, ScopeTombstone(GROUP, "uid-rg", 2), revision=2)
    assert ask(buried, COMMUNITY_READ, view).reason is Reason.NOT_SHARED


def test_a_neighbour_whose_name_begins_alike_is_left_alone():
    neighbour = f"{GALLERY}2"
    held = world(role(READ), assign("r1", neighbour, revision=1))
    buried = after(held, ScopeTombstone(GALLERY, "uid-1", 2), revision=2)
    assert ask(buried, READ, f"{neighbour}/images/i/versions/1.0.0").allowed


def test_a_repeated_tombstone_removes_nothing_that_was_granted_later():
    held = world(role(READ), assign("r1", GALLERY, revision=1))
    buried = after(held, ScopeTombstone(GALLERY, "uid-1", 2), revision=2)
    again = after(buried, assign("r1", GALLERY, BOB, revision=3), revision=3)
    repeated = after(again, ScopeTombstone(GALLERY, "uid-1", 2), revision=4)
    assert ask(repeated, READ, VERSION, BOB).allowed
    assert not ask(repeated, READ, VERSION).allowed
    second = after(repeated, ScopeTombstone(GALLERY, "uid-2", 5), revision=5)
    assert not ask(second, READ, VERSION, BOB).allowed


def test_a_tombstone_takes_what_its_own_transaction_granted_before_it():
    held = after(
        world(role(READ)),
        assign("r1", GALLERY, revision=2),
        ScopeTombstone(GALLERY, "uid-1", 2),
        assign("r1", GALLERY, BOB, revision=2),
        revision=2,
    )
    assert not ask(held, READ, VERSION).allowed
    assert ask(held, READ, VERSION, BOB).allowed


def test_principals_are_found_by_tenant_and_id_whatever_their_kind():
    directory = world().directory
    assert directory.principal("T1", "Alice") == directory.principals.get(ALICE)
    found = directory.principal("t1", "g1")
    assert found is not None
    assert found.key == group("g1")
    assert directory.principal("t2", "alice") is None
