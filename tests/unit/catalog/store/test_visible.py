"""What a caller may see, as ranges of keys."""

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from services.catalog.domain.names import ordered_key
from services.catalog.ports.reading import Visible
from services.catalog.store.visible import Range, after_position, visible_ranges
from services.kernel.names import prefixes

IDS = ["a", "a-b", "a b", "b", "a.b", "z_"]


def ranges(visible: Visible, depth: int = 3) -> Sequence[Range]:
    return visible_ranges(visible, depth=depth, ordered=ordered_key)


def holds(found: Sequence[Range], text: str) -> bool:
    return any(low <= text < high for low, high in found)


def test_a_scope_above_is_a_range_and_one_of_the_kind_itself_alone() -> None:
    found = ranges(Visible(("s/a", "s/b/g/x/r/y", "s/c/g/x/r/y/v/z")))
    assert found == [("s/a/", "s/a0"), ("s/b/g/x/r/y", "s/b/g/x/r/y ")]


def test_ranges_are_in_the_order_of_keys_whatever_their_scopes_order_is() -> None:
    assert ranges(Visible(("s/a", "s/a-b"))) == [("s/a-b/", "s/a-b0"), ("s/a/", "s/a0")]


def test_what_is_denied_is_cut_out() -> None:
    visible = Visible(("s/a",), ("s/a/g/m",), ("s/a", "s/a/g/x/r/y"))
    assert ranges(visible) == [
        ("s/a/", "s/a/g/m/"),
        ("s/a/g/m0", "s/a/g/x/r/y"),
        ("s/a/g/x/r/y ", "s/a0"),
    ]


def test_versions_are_ranged_over_by_their_numbers() -> None:
    one = "s/a/g/b/galleries/c/images/d/versions/1.10.0"
    (found,) = ranges(Visible((one,)), depth=5)
    assert found[0].endswith("/versions/0000000001.0000000010.0000000000")


@pytest.mark.parametrize("descending", [False, True])
def test_what_comes_after_a_position_is_a_part_of_the_ranges(descending: bool) -> None:
    found = [("a", "c"), ("e", "g"), ("i", "k")]
    everything = "abcdefghijkl"
    for last in everything:
        rest = after_position(found, last, descending=descending)
        beyond = [one for one in everything if (one < last if descending else one > last)]
        assert [one for one in beyond if holds(rest, one)] == [
            one for one in beyond if holds(found, one)
        ]


def _scope(chosen: random.Random) -> str:
    depth = chosen.randrange(1, 4)
    return "/".join(f"{name}/{chosen.choice(IDS)}" for name in ("s", "g", "r")[:depth])


def test_random_scopes_hold_what_their_prefixes_say() -> None:
    keys = [f"s/{a}/g/{b}/r/{c}" for a in IDS for b in IDS for c in IDS]
    seen = set()
    for seed in range(200):
        chosen = random.Random(seed)
        allowed: set[str] = set()
        for _ in range(chosen.randrange(6)):
            scope = _scope(chosen)
            if not allowed & set(prefixes(scope)):
                allowed = {one for one in allowed if scope not in prefixes(one)} | {scope}
        denied: set[str] = set()
        for _ in range(chosen.randrange(6)):
            scope = _scope(chosen)
            if allowed & set(prefixes(scope)) and not denied & set(prefixes(scope)):
                denied = {one for one in denied if scope not in prefixes(one)} | {scope}
        here = {_scope(chosen) for _ in range(chosen.randrange(3))}
        here = {one for one in here if not denied & set(prefixes(one))}
        found = ranges(Visible(sorted(allowed), sorted(denied), sorted(here)))
        assert list(found) == sorted(found)
        assert all(one[1] <= two[0] for one, two in pairwise(found))
        for key in keys:
            above = set(prefixes(key))
            expected = bool(above & allowed) and not above & denied and key not in here
            assert holds(found, key) is expected, (seed, key)
            seen.add((expected, bool(above & denied), key in here))
    assert len(seen) >= 4
