"""The tree of scopes: found alike in a crowd and among few, copied where it changes, left bare."""

from collections.abc import Iterator

import pytest

from services.policy.holders import HoldersEditor, Scopes
from services.policy.model import EVERYONE, Plane, SharingGrant
from services.policy.tree import EMPTY_NODE, NodeEditor, ScopeNode
from tests.unit.policy.worlds import (
    ALICE,
    BOB,
    GALLERY,
    READ,
    SUBSCRIPTION,
    WRITE,
    assign,
    deny,
    grant,
    user,
)

STEPS = (SUBSCRIPTION, "resourcegroups/rg", "galleries/golden")
CROWD = [user(f"u{number}") for number in range(40)]


def frozen(editor: NodeEditor) -> tuple[ScopeNode, dict[str, Scopes], dict[str, Scopes]]:
    holders, denied = HoldersEditor({}), HoldersEditor({})
    node = editor.freeze(holders, denied)
    return node, dict(holders.freeze()), dict(denied.freeze())


def built(*held, denies=(), granted=None) -> ScopeNode:
    editor = NodeEditor(EMPTY_NODE)
    for one in held:
        editor.put(one)
    for one in denies:
        editor.put_deny(one)
    editor.set_grant(granted)
    return frozen(editor)[0]


def denied(principal, number=0, **more):
    return deny(GALLERY, principal, id=f"d{number}", **more)


@pytest.mark.parametrize("many", [1, 16, 17, 40])
@pytest.mark.parametrize("asking", [1, 16, 17, 40])
def test_what_somebody_holds_is_found_alike_in_a_crowd_and_among_few(many, asking):
    node = built(*(assign("r1", GALLERY, who) for who in CROWD[:many]))
    identities = frozenset(CROWD[-asking:])
    found = {one.principal for one in node.held_by(identities)}
    assert found == set(CROWD[:many]) & identities
    assert len(node.held_by(identities)) == len(found)


@pytest.mark.parametrize("many", [1, 16, 17, 40])
@pytest.mark.parametrize("asking", [1, 16, 17, 40])
def test_the_denies_of_somebody_are_found_alike_in_a_crowd_and_among_few(many, asking):
    denies = [denied(who, number) for number, who in enumerate(CROWD[:many])]
    node = built(denies=[*denies, denied(EVERYONE, "all")])
    identities = frozenset(CROWD[-asking:])
    found = {who for one in node.denies_for(identities) for who in one.assignment.principals}
    theirs = (set(CROWD[:many]) & identities) | {EVERYONE}
    assert found >= theirs
    if many >= 16:
        assert found == theirs


def test_what_a_deny_forbids_is_ready_to_be_asked():
    (found,) = built(denies=[denied(ALICE, actions=("*/read",))]).denies
    assert found.matcher.permits(READ.lower(), Plane.CONTROL)
    assert not found.matcher.permits(WRITE.lower(), Plane.CONTROL)
    assert not found.matcher.permits(READ.lower(), Plane.DATA)


def test_up_to_sixteen_are_looked_through_and_more_are_looked_up():
    few = [denied(who, number) for number, who in enumerate(CROWD[:16])]
    assert len(built(denies=few).denies_for(frozenset())) == 16
    assert built(denies=[*few, denied(CROWD[16], 16)]).denies_for(frozenset()) == []


def test_all_that_one_principal_holds_in_a_crowd_is_found():
    mine = [assign(f"r{number}", GALLERY) for number in range(20)]
    node = built(*mine, assign("r1", GALLERY, BOB))
    assert len(node.held_by(frozenset({ALICE}))) == 20
    assert len(node.held_by(frozenset({ALICE, BOB, "x", "y"}))) == 21


class Identities(frozenset[str]):
    """Counts how often it is looked at."""

    looks = 0

    def __contains__(self, one: object) -> bool:
        self.looks += 1
        return super().__contains__(one)

    def __iter__(self) -> Iterator[str]:
        for one in super().__iter__():
            self.looks += 1
            yield one


@pytest.mark.parametrize(("many", "asking"), [(40, 1), (40, 17), (17, 1), (17, 40), (1, 40)])
def test_in_a_crowd_the_work_is_bounded_by_whoever_are_fewer(many, asking):
    node = built(*(assign("r1", GALLERY, who) for who in CROWD[:many]))
    identities = Identities(CROWD[:asking])
    identities.looks = 0
    assert len(node.held_by(identities)) == min(many, asking)
    assert identities.looks == min(many, asking)


@pytest.mark.parametrize(
    ("made", "empty"),
    [
        (EMPTY_NODE, True),
        (built(), True),
        (built(assign("r1", GALLERY)), False),
        (built(denies=[denied(ALICE)]), False),
        (built(granted=grant()), False),
        (ScopeNode({"x/y": EMPTY_NODE}, (), (), None), False),
    ],
    ids=["nothing", "built of nothing", "held", "denied", "granted", "children"],
)
def test_a_node_is_empty_where_nothing_is_held_here_or_below(made, empty):
    assert made.is_empty() is empty


def test_a_node_is_found_below_and_its_neighbours_are_kept():
    editor = NodeEditor(EMPTY_NODE)
    assert editor.descend(STEPS) is editor.descend(STEPS)
    assert editor.descend(()) is editor
    editor.descend(STEPS).put(assign("r1", GALLERY))
    editor.descend(STEPS[:1]).put(assign("r1", SUBSCRIPTION))
    first, _, _ = frozen(editor)
    second = NodeEditor(first)
    second.descend((*STEPS[:2], "galleries/other")).set_grant(grant())
    after, _, _ = frozen(second)
    assert list(after.children) == [SUBSCRIPTION]
    subscription = after.children[SUBSCRIPTION]
    assert [one.scope for one in subscription.held] == [SUBSCRIPTION]
    galleries = subscription.children[STEPS[1]].children
    assert sorted(galleries) == ["galleries/golden", "galleries/other"]
    assert (
        galleries["galleries/golden"]
        is first.children[STEPS[0]].children[STEPS[1]].children[STEPS[2]]
    )


def test_what_became_empty_is_cut_off_up_to_where_something_is_held():
    editor = NodeEditor(EMPTY_NODE)
    editor.descend(STEPS).put(assign("r1", GALLERY))
    editor.descend(STEPS[:1]).put(assign("r1", SUBSCRIPTION))
    first, holders, _ = frozen(editor)
    assert holders == {ALICE: (SUBSCRIPTION, GALLERY)}
    editor = NodeEditor(first)
    editor.descend(STEPS).remove(f"{GALLERY}/roleassignments/r1-alice")
    editor.descend(STEPS).remove("never there")
    removed = HoldersEditor(holders)
    after = editor.freeze(removed, HoldersEditor({}))
    assert dict(after.children[SUBSCRIPTION].children) == {}
    assert dict(removed.freeze()) == {ALICE: (SUBSCRIPTION,)}
    assert dict(first.children[SUBSCRIPTION].children) != {}


def test_an_assignment_or_deny_of_the_same_name_is_replaced():
    node = built(assign("r1", GALLERY), assign("r2", GALLERY, id="r1-alice"))
    assert [one.role for one in node.held] == ["r2"]
    node = built(denies=[denied(ALICE, 1), denied(ALICE, 2), denied(BOB, 1)])
    assert [(one.assignment.name[-2:], *one.assignment.principals) for one in node.denies] == [
        ("d2", ALICE),
        ("d1", BOB),
    ]


def test_a_deny_is_removed_by_its_name_alone():
    editor = NodeEditor(built(denies=[denied(ALICE, 1), denied(BOB, 2)]))
    editor.remove_deny(f"{GALLERY}/denyassignments/d1")
    denied_before = HoldersEditor({ALICE: (GALLERY,), BOB: (GALLERY,)})
    node = editor.freeze(HoldersEditor({}), denied_before)
    assert [one.assignment.name[-2:] for one in node.denies] == ["d2"]
    assert dict(denied_before.freeze()) == {BOB: (GALLERY,)}


def test_whoever_is_denied_something_is_told_of_as_it_comes_and_goes():
    editor = NodeEditor(EMPTY_NODE)
    editor.put_deny(denied(ALICE))
    node, _, denies = frozen(editor)
    assert denies == {ALICE: (GALLERY,)}
    editor = NodeEditor(node)
    editor.remove_deny(f"{GALLERY}/denyassignments/d0")
    gone = HoldersEditor(denies)
    assert editor.freeze(HoldersEditor({}), gone).is_empty()
    assert dict(gone.freeze()) == {}


def test_what_did_not_change_is_taken_over():
    node = built(assign("r1", GALLERY), denies=[denied(ALICE)], granted=grant())
    again, holders, denies = frozen(NodeEditor(node))
    assert again.held is node.held
    assert again.denies is node.denies
    assert again.grant is node.grant
    assert again.children is node.children
    assert (holders, denies) == ({}, {})


def test_a_sweep_removes_what_is_older_here_and_below():
    editor = NodeEditor(EMPTY_NODE)
    for place, scope in ((STEPS[:1], SUBSCRIPTION), (STEPS, GALLERY)):
        for revision in (4, 5, 6):
            node = editor.descend(place)
            node.put(assign("r1", scope, id=f"a{revision}", revision=revision))
            node.put_deny(deny(scope, BOB, id=f"d{revision}", revision=revision))
    first, _, _ = frozen(editor)
    editor = NodeEditor(first)
    # What is written in the same transaction is swept as well, or spared as new.
    editor.descend((SUBSCRIPTION, "disks/d")).put(assign("r1", "disks/d", revision=4))
    assert list(editor.descend(STEPS[:1]).sweep(5)) == []
    swept, _, _ = frozen(editor)
    top = swept.children[SUBSCRIPTION]
    assert list(top.children) == ["resourcegroups/rg"]
    for one in (top, top.children[STEPS[1]].children[STEPS[2]]):
        assert [held.revision for held in one.held] == [5, 6]
        assert [held.assignment.revision for held in one.denies] == [5, 6]


@pytest.mark.parametrize(("revision", "kept"), [(4, False), (5, True), (6, True)])
def test_a_sweep_closes_an_older_share_and_tells_of_it(revision, kept):
    editor = NodeEditor(EMPTY_NODE)
    shared: SharingGrant = grant(revision=revision)
    editor.descend(STEPS).set_grant(shared)
    editor = NodeEditor(frozen(editor)[0])
    assert list(editor.sweep(5)) == ([] if kept else [shared])
    assert bool(frozen(editor)[0].children) is kept
