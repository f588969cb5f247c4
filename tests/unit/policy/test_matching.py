import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.policy.matching import compile_pattern, matches, pattern_problem
from tests.unit.policy.naive import glob


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("*", "Microsoft.Compute/galleries/read", True),
        ("*/read", "Microsoft.Compute/galleries/images/versions/read", True),
        ("*/read", "Microsoft.Compute/galleries/write", False),
        ("Microsoft.Compute/*", "Microsoft.Compute/galleries/share/action", True),
        ("Microsoft.Compute/*", "Microsoft.ComputeX/galleries/read", False),
        ("Microsoft.Authorization/*/Write", "microsoft.authorization/roleAssignments/write", True),
        ("Microsoft.Authorization/*/Write", "Microsoft.Authorization/write", False),
        ("Microsoft.Compute/galleries/read", "microsoft.compute/GALLERIES/Read", True),
        ("Microsoft.Compute/galleries/read", "Microsoft.Compute/galleries/reads", False),
        ("Microsoft.Compute/galleries/read", "xMicrosoft.Compute/galleries/read", False),
        ("Microsoft.Compute/galleries", "MicrosoftXCompute/galleries", False),
        ("*a", "aa", True),
        ("a*a", "a", False),
        ("**/read", "x/read", True),
        ("*/images/*/read", "a/images/images/read", True),
    ],
)
def test_star_covers_any_run_and_the_rest_is_literal(pattern, action, expected):
    assert matches(pattern, action) is expected


@given(st.text(alphabet="aAb/*", max_size=9), st.text(alphabet="abA/", max_size=12))
def test_compiled_patterns_agree_with_a_second_matcher(pattern, action):
    assert matches(pattern, action) is glob(pattern, action)


def test_every_star_but_the_last_is_atomic():
    # What makes matching linear is the structure: no star may be tried again for the
    # sake of a later one. Only the last run is greedy, and it has one literal behind it.
    text = compile_pattern("x" + "*a" * 200 + "b").pattern
    assert re.fullmatch(r"\(\?s:x(\(\?>\.\*\?a\)){199}\.\*ab\)", text)


def test_t27_a_pattern_that_drives_backtracking_matchers_mad_is_answered():
    # 18 seconds with `.*`, and not in a lifetime with two hundred stars of them: that the
    # test ends is what it asserts.
    assert not matches("*a" * 8 + "b", "a" * 60)
    assert not matches("*a" * 200 + "b", "a" * 1024)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "empty"),
        ("a" * 257, "256"),
        ("*" * 9, "8 stars"),
        ("Microsoft.Compute/[a-z]", "ASCII"),
        ("Microsoft.Compute/gäl", "ASCII"),
        ("Microsoft.Compute/galleries\n", "ASCII"),
    ],
)
def test_patterns_beyond_the_caps_are_refused(pattern, problem):
    assert problem in (pattern_problem(pattern) or "")


@pytest.mark.parametrize("pattern", ["*", "a" * 256, "a*" * 8, "Microsoft.Compute/*/read"])
def test_patterns_within_the_caps_are_accepted(pattern):
    assert pattern_problem(pattern) is None
