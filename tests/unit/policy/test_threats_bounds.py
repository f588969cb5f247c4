"""Threats T26 and T27: the work of a decision and of a pattern is counted, and has a bound."""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import services.policy
from services.policy.index import PolicyIndex
from services.policy.matching import MAX_LENGTH, compile_pattern
from services.policy.model import Change, Principal, PrincipalKind
from tests.unit.policy.naive import glob
from tests.unit.policy.worlds import (
    ALICE,
    GALLERY,
    READ,
    VERSION,
    ask,
    assign,
    deny,
    group,
    member,
    role,
    user,
    world,
)

POLICY = str(Path(services.policy.__file__).parent)


def lines(work: Callable[[], Any]) -> int:
    """How many lines of the policy package a call runs: the same on every machine."""
    count = 0

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(POLICY):
            return None
        count += event == "line"
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def grouped(*edges: tuple[str, str]) -> tuple[Change, ...]:
    """Groups, and who is in which."""
    groups = {one for edge in edges for one in edge if "/groups/" in one}
    known = [Principal(one, PrincipalKind.GROUP) for one in sorted(groups)]
    return (*known, *(member(above, below) for below, above in edges))


def chained(length: int) -> Iterator[tuple[str, str]]:
    """Alice in a group in a group, and so on, and the last one in the first again."""
    yield ALICE, group("deep0")
    for number in range(length):
        yield group(f"deep{number}"), group(f"deep{(number + 1) % length}")


def wide(count: int) -> Iterator[tuple[str, str]]:
    """Alice in many groups, which are all in one another's next."""
    for number in range(count):
        yield ALICE, group(f"wide{number}")
        yield group(f"wide{number}"), group(f"wide{(number + 1) % count}")


def meshed(count: int) -> Iterator[tuple[str, str]]:
    """Groups of which each is in every other one: there are more ways than could be walked."""
    yield ALICE, group("mesh0")
    for one in range(count):
        for other in range(count):
            if one != other:
                yield group(f"mesh{one}"), group(f"mesh{other}")


@pytest.mark.parametrize(
    "edges",
    [list(chained(40)), list(chained(5_000)), list(wide(5_000)), list(meshed(70))],
    ids=["deep", "deeper than may be written", "wide", "meshed"],
)
def test_t26_memberships_are_followed_once_each_however_deep_or_circular(
    edges: list[tuple[str, str]],
) -> None:
    index = world(role(READ), *grouped(*edges), assign("r1", GALLERY, edges[-1][1]))
    first = lines(lambda: ask(index, READ, VERSION))
    assert first <= 12 * len(edges) + 200
    # Whoever asks again under the same policy has them already.
    other = lines(lambda: ask(index, READ, f"{GALLERY}/images/other"))
    assert other <= 150
    assert lines(lambda: ask(index, READ, VERSION)) <= other


def crowded(count: int) -> PolicyIndex:
    crowd = [user(f"u{number}") for number in range(count)]
    return world(
        role(READ),
        *(assign("r1", GALLERY, one) for one in crowd),
        *(deny(GALLERY, one, id=f"d{number}") for number, one in enumerate(crowd)),
        assign("r1", GALLERY),
    )


def test_t26_a_scope_of_ten_thousand_assignments_costs_what_one_of_a_hundred_does() -> None:
    few, many = (
        lines(partial(ask, index, READ, VERSION)) for index in (crowded(100), crowded(10_000))
    )
    assert many == few
    assert many <= 300


def test_t26_more_scopes_than_any_name_has_are_not_walked() -> None:
    index = world(role(READ), assign("r1", GALLERY))
    for count in (10, 100):
        long = VERSION + "/x/y" * count
        assert lines(partial(ask, index, READ, long)) <= 200 + 25 * count


# What `re` does with a pattern, step by step: an interpreter of what it parses it to.


def ends(nodes: list[Any], text: str, at: int, steps: list[int]) -> Iterator[int]:
    """The places at which what is left of a pattern may end, in the order in which `re` tries."""
    steps[0] += 1
    if not nodes:
        yield at
        return
    (operation, argument), *rest = nodes
    match str(operation):
        case "LITERAL":
            if at < len(text) and ord(text[at]) == argument:
                yield from ends(rest, text, at + 1, steps)
        case "MIN_REPEAT" | "MAX_REPEAT":
            least, _, _ = argument
            places: Any = range(at + least, len(text) + 1)
            for place in places if str(operation) == "MIN_REPEAT" else reversed(places):
                yield from ends(rest, text, place, steps)
        case "ATOMIC_GROUP":
            first = next(ends(list(argument), text, at, steps), None)
            if first is not None:
                yield from ends(rest, text, first, steps)
        case "SUBPATTERN":
            yield from ends([*argument[-1], *rest], text, at, steps)
        case other:
            raise AssertionError(other)


def stepped(pattern: str, text: str) -> tuple[bool, int]:
    """Whether a pattern of `re` covers all of a text, and in how many steps that is known."""
    parser: Any = re._parser  # type: ignore[attr-defined]
    steps = [0]
    found = any(end == len(text) for end in ends(list(parser.parse(pattern)), text, 0, steps))
    return found, steps[0]


def bound(pattern: str, text: str) -> int:
    """A step for each character of the text, and for each of the literal that is sought there."""
    literal = max(len(one) for one in pattern.split("*"))
    return 2 * (len(text) + len(pattern) + 2) * (literal + 2)


@pytest.mark.parametrize("stars", [1, 8, 200])
@pytest.mark.parametrize("length", [60, 1024])
def test_t27_a_pattern_is_matched_in_steps_that_follow_the_length_of_the_text(
    stars: int, length: int
) -> None:
    for pattern in ("*a" * stars + "b", "*a" * stars + "*b", "a*" * stars + "b", "*aa" * stars):
        text = "a" * length
        found, steps = stepped(compile_pattern(pattern).pattern, text)
        assert steps <= bound(pattern, text), pattern
        assert found is (compile_pattern(pattern).fullmatch(text) is not None)


def test_t27_the_steps_of_a_pattern_that_goes_back_are_seen_to_explode() -> None:
    # Without atomic groups, at sizes that end: what the bound is there for.
    for stars, text in ((4, "a" * 20), (5, "a" * 18)):
        pattern = "*a" * stars + "b"
        _, steps = stepped(pattern.replace("*", ".*"), text)
        assert steps > 10 * bound(pattern, text)
        assert stepped(compile_pattern(pattern).pattern, text)[1] <= bound(pattern, text)


@given(
    st.lists(st.sampled_from(["*", "a", "ab", "b", "/", "read"]), max_size=40).map("".join),
    st.text(alphabet="ab/red", max_size=60),
)
def test_t27_any_pattern_keeps_to_the_bound_and_agrees_with_a_second_matcher(
    pattern: str, text: str
) -> None:
    found, steps = stepped(compile_pattern(pattern).pattern, text)
    assert steps <= bound(pattern, text)
    assert found is glob(pattern, text)
    assert len(pattern) <= MAX_LENGTH
