"""What grants an action and what takes it out again, and how a matcher remembers it."""

import pytest

from services.policy.matching import (
    MAX_LENGTH,
    MAX_STARS,
    PermissionMatcher,
    compile_pattern,
    matched,
    matches,
)
from services.policy.model import Permissions, Plane

READ = "a/read"


def told(*permissions, plane=Plane.CONTROL):
    return matched(permissions, READ, plane)


def test_the_first_pattern_of_each_kind_is_told():
    assert told(Permissions(("x", "*/read", "*"))) == ("*/read", "")
    assert told(Permissions(("*",), ("x", "a/*", "*"))) == ("*", "a/*")


def test_nothing_is_told_of_what_grants_nothing():
    assert told() == ("", "")
    assert told(Permissions(("x",), ("*",))) == ("", "")
    assert told(Permissions(("a/rea",))) == ("", "")


def test_of_several_permissions_that_subtract_the_first_is_told():
    both = (Permissions(("*",), ("*/read",)), Permissions(("a/*",), ("a/read",)))
    assert told(*both) == ("*", "*/read")


def test_a_permission_that_grants_is_told_before_one_that_does_not():
    subtracting, granting = Permissions(("*",), ("*",)), Permissions(("a/*",))
    assert told(subtracting, granting) == ("a/*", "")
    assert told(granting, subtracting) == ("a/*", "")
    assert told(Permissions(("x",)), subtracting) == ("*", "*")


def test_the_patterns_of_the_other_plane_are_not_told():
    one = Permissions(("*",), (), ("a/*",), ("*/read",))
    assert told(one) == ("*", "")
    assert told(one, plane=Plane.DATA) == ("a/*", "*/read")


def test_a_matcher_answers_each_action_and_plane_for_itself_as_often_as_asked():
    matcher = PermissionMatcher((Permissions((READ,), (), ("b/read",)),))
    asked = [(READ, Plane.CONTROL), (READ, Plane.DATA), ("b/read", Plane.DATA)]
    for _ in range(2):
        answers = [matcher.permits(*one) for one in (*asked, ("b/read", Plane.CONTROL))]
        assert answers == [True, False, True, False]


def test_a_matcher_looks_at_its_patterns_once_for_each_question():
    looked: list[str] = []

    class Counted(Permissions):
        __slots__ = ()

        def patterns(self, plane):
            looked.append(plane.name)
            return super().patterns(plane)

    matcher = PermissionMatcher((Counted((READ,)),))
    for _ in range(3):
        assert matcher.permits(READ, Plane.CONTROL)
        assert not matcher.permits(READ, Plane.DATA)
    assert looked == ["CONTROL", "DATA"]


def test_one_of_several_permissions_is_enough():
    matcher = PermissionMatcher((Permissions(("x",)), Permissions((READ, "y"))))
    assert matcher.permits(READ, Plane.CONTROL)
    assert not PermissionMatcher(()).permits(READ, Plane.CONTROL)


def test_a_matcher_looks_at_the_whole_action():
    granting = PermissionMatcher((Permissions((READ, "*/write")),))
    assert not granting.permits(f"{READ}s", Plane.CONTROL)
    assert not granting.permits("a/writes", Plane.CONTROL)
    subtracting = PermissionMatcher((Permissions(("*",), (READ,)),))
    assert subtracting.permits(f"{READ}s", Plane.CONTROL)


def test_a_subtraction_needs_one_pattern_only():
    matcher = PermissionMatcher((Permissions(("*",), ("x", "a/re*d", "y")),))
    assert not matcher.permits(READ, Plane.CONTROL)
    assert matcher.permits("a/write", Plane.CONTROL)


@pytest.mark.parametrize(
    ("pattern", "action"),
    [("a/read", "a/readx"), ("*/read", "a/readx"), ("a/*d", "a/reads"), ("a/READ", "a/read")],
)
def test_the_whole_action_is_matched_without_regard_to_case(pattern, action):
    assert matches(pattern, action) is (pattern.lower() == action)
    assert matches(pattern, action.upper()) is (pattern.lower() == action)


def test_a_star_covers_what_any_text_may_hold():
    assert matches("a*b", "a\nb")
    assert matches("a*x*b", "a\nx\nb")


def test_stars_side_by_side_are_one():
    assert compile_pattern("a***b").pattern == compile_pattern("a*b").pattern


def test_the_caps_are_what_they_are_told_to_be():
    assert (MAX_STARS, MAX_LENGTH) == (8, 256)
