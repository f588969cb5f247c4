"""The ways through groups that an explanation tells."""

from services.policy.memberships import inwards, ways_to_groups
from services.policy.model import Principal, PrincipalKind
from tests.unit.policy.worlds import ALICE, BOB, group, member, user, world

G0, G1, G2, G3, G4 = (group(f"g{number}") for number in range(5))
UNKNOWN = group("unknown")


def directory(*changes):
    return world(*changes).directory


def test_every_group_is_told_with_the_groups_on_the_way():
    found = ways_to_groups(directory(member(G0, ALICE), member(G1, G0), member(G2, G1)), ALICE)
    assert found == {G0: (), G1: (G0,), G2: (G0, G1)}


def test_of_several_ways_a_shortest_is_told_and_of_those_the_first_by_name():
    found = ways_to_groups(
        directory(
            member(G0, ALICE),
            member(G1, ALICE),
            member(G2, G1),
            member(G3, G2),
            member(G3, G0),
            member(G4, G0),
            member(G4, G1),
        ),
        ALICE,
    )
    assert found == {G0: (), G1: (), G2: (G1,), G3: (G0,), G4: (G0,)}


def test_a_cycle_ends_and_nobody_is_on_the_way_to_themselves():
    found = ways_to_groups(directory(member(G1, G0), member(G0, G1)), G0)
    assert found == {G1: ()}


def test_who_is_unknown_or_disabled_is_in_no_group_and_passes_nothing_on():
    off = Principal(BOB, PrincipalKind.USER, enabled=False)
    known = directory(
        off,
        member(G0, BOB),
        member(G0, user("stranger")),
        member(UNKNOWN, ALICE),
        member(G1, UNKNOWN),
    )
    assert ways_to_groups(known, BOB) == {}
    assert ways_to_groups(known, user("stranger")) == {}
    assert ways_to_groups(known, ALICE) == {}
    assert inwards(known, G0) == {}
    assert inwards(known, G1) == {}


def test_everybody_in_a_group_is_told_with_the_way_from_it():
    found = inwards(
        directory(member(G0, G1), member(G1, G2), member(G2, ALICE), member(G0, BOB)), G0
    )
    assert found == {G1: (G0,), G2: (G0, G1), ALICE: (G0, G1, G2), BOB: (G0,)}


def test_of_several_ways_inwards_a_shortest_is_told_and_of_those_the_first_by_name():
    found = inwards(
        directory(
            member(G0, G1),
            member(G0, G2),
            member(G2, G3),
            member(G3, ALICE),
            member(G1, ALICE),
            member(G2, BOB),
            member(G1, BOB),
        ),
        G0,
    )
    assert found == {
        G1: (G0,),
        G2: (G0,),
        G3: (G0, G2),
        ALICE: (G0, G1),
        BOB: (G0, G1),
    }


def test_a_cycle_inwards_ends_and_a_group_is_not_in_itself():
    assert inwards(directory(member(G0, G1), member(G1, G0)), G0) == {G1: (G0,)}


def test_what_lies_equally_near_is_told_by_name():
    names = [group(f"w{number:02}") for number in range(20)]
    known = directory(
        *(Principal(one, PrincipalKind.GROUP) for one in names),
        *(member(one, ALICE) for one in reversed(names)),
        *(member(G0, one) for one in reversed(names)),
    )
    assert list(ways_to_groups(known, ALICE)) == [*names, G0]
    assert list(inwards(known, G0)) == [*names, ALICE]
