"""Conditions at their edges: spellings, what is unknown, what may be written at all."""

import pytest

from services.kernel.names import fold
from services.policy.condition_syntax import parse
from services.policy.conditions import (
    ASSIGN,
    DELEGABLE,
    MAKE_ELIGIBLE,
    NO_ATTRIBUTES,
    PRINCIPAL_ID,
    PRINCIPAL_TYPE,
    ROLE_ID,
    UNASSIGN,
    Attributes,
    holds,
    problem_of,
    understood,
)

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
PREFIX = "microsoft.authorization"


def test_what_is_asked_with_attributes_is_the_writing_of_assignments():
    assert {
        f"{PREFIX}/roleassignments/write",
        f"{PREFIX}/roleassignments/delete",
        f"{PREFIX}/roleeligibilityschedulerequests/write",
    } == DELEGABLE


def test_attributes_lie_where_the_original_has_them():
    told = {ROLE_ID.upper(): (READER,)}
    known = {fold(ROLE_ID): (READER,)}
    given = Attributes.of(ASSIGN.upper(), told)
    taken = Attributes.of(UNASSIGN.upper(), told)
    both = Attributes.of(MAKE_ELIGIBLE.upper(), told)
    assert (dict(given.request), dict(given.resource)) == (known, {})
    assert (dict(taken.request), dict(taken.resource)) == ({}, known)
    assert (dict(both.request), dict(both.resource)) == (known, known)
    assert not any(one.presumed for one in (given, taken, both, NO_ATTRIBUTES))


@pytest.mark.parametrize("name", [ROLE_ID, PRINCIPAL_ID])
@pytest.mark.parametrize("negated", [False, True])
def test_ids_are_compared_without_regard_to_case_on_either_side(name, negated):
    operator = "GuidNotEquals" if negated else "GuidEquals"
    for written, sent in ((READER.upper(), READER), (READER, READER.upper())):
        expression = understood(f"@Request[{name}] {operator} '{written}'")
        assert expression is not None
        for value, same in ((sent, True), (OWNER, False)):
            told = Attributes.of(ASSIGN, {name: (value,)})
            assert holds(expression, fold(ASSIGN), told) is (same is not negated)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("StringEquals", "User", True),
        ("StringEquals", "user", False),
        ("StringNotEquals", "User", False),
        ("StringNotEquals", "user", True),
        ("StringEqualsIgnoreCase", "uSER", True),
        ("StringEqualsIgnoreCase", "Group", False),
        ("StringNotEqualsIgnoreCase", "uSER", False),
        ("StringNotEqualsIgnoreCase", "Group", True),
    ],
)
def test_kinds_of_principals_are_compared_as_the_operator_says(operator, value, expected):
    expression = understood(f"@Request[{PRINCIPAL_TYPE}] {operator} '{value}'")
    assert expression is not None
    assert holds(expression, fold(ASSIGN), Attributes.of(ASSIGN, {PRINCIPAL_TYPE: ("User",)})) is (
        expected
    )


def test_an_attribute_without_a_spelling_is_not_there():
    expression = understood(f"@Request[{PRINCIPAL_TYPE}] StringNotEquals 'User'")
    assert expression is not None
    told = Attributes.of(ASSIGN, {PRINCIPAL_TYPE: ()})
    assert holds(expression, fold(ASSIGN), told) is None


def test_one_spelling_of_several_is_enough_to_be_equal():
    told = Attributes.of(ASSIGN, {PRINCIPAL_ID: ("a", "b")})
    for operator, expected in (("GuidEquals", True), ("GuidNotEquals", False)):
        expression = understood(f"@Request[{PRINCIPAL_ID}] {operator} 'b'")
        assert expression is not None
        assert holds(expression, fold(ASSIGN), told) is expected


@pytest.mark.parametrize(
    ("quantifier", "values", "expected"),
    [
        ("ForAnyOfAnyValues", "{'User', 'Group'}", True),
        ("ForAllOfAnyValues", "{'User', 'Group'}", True),
        ("ForAnyOfAllValues", "{'User', 'Group'}", False),
        ("ForAllOfAllValues", "{'User', 'Group'}", False),
        ("ForAnyOfAnyValues", "{'Group', 'Device'}", False),
        ("ForAllOfAllValues", "{'User', 'User'}", True),
    ],
)
def test_a_quantifier_says_how_many_of_the_values_are_meant(quantifier, values, expected):
    expression = understood(f"@Request[{PRINCIPAL_TYPE}] {quantifier}:StringEquals {values}")
    assert expression is not None
    told = Attributes.of(ASSIGN, {PRINCIPAL_TYPE: ("User",)})
    assert holds(expression, fold(ASSIGN), told) is expected


@pytest.mark.parametrize(
    "condition",
    [
        f"Exists @Request[{ROLE_ID}]",
        f"@Request[{ROLE_ID}] GuidEquals @Resource[{ROLE_ID}]",
        f"'{READER}' GuidEquals @Request[{ROLE_ID}]",
        f"'{READER}' GuidEquals '{READER}'",
    ],
)
def test_what_is_not_evaluated_is_unknown_to_whom_asks_all_the_same(condition):
    told = Attributes.of(MAKE_ELIGIBLE, {ROLE_ID: (READER,)})
    assert understood(condition) is None
    assert holds(parse(condition), fold(ASSIGN), told) is None


@pytest.mark.parametrize(
    "condition",
    [
        "SubOperationMatches{'a b'}",
        f"@Request[{ROLE_ID}] GuidEquals @Resource[{ROLE_ID}]",
        f"'Owner' GuidEquals @Request[{ROLE_ID}]",
        f"Exists @Request[{ROLE_ID}]",
        f"@Request[{PRINCIPAL_ID}] GuidEquals Ada",
        f"@Request[{ROLE_ID}] GuidEquals {READER.upper()}",
        f"@Request[{ROLE_ID}] GuidEquals 'roleDefinitions/{READER}'",
        f"@Request[{ROLE_ID}] GuidEquals 'ROLEDEFINITIONS/{READER}'",
    ],
)
def test_what_means_what_it_says_may_be_written(condition):
    assert problem_of(condition) is None


@pytest.mark.parametrize("role", [f"{READER}0", f"0{READER}", f"roles/{READER}", READER[:-1]])
@pytest.mark.parametrize("around", ["{}", "!({})", "ActionMatches{{'*'}} OR ({})"])
def test_a_role_is_written_as_a_whole_id_wherever_it_stands(role, around):
    condition = around.format(f"@Request[{ROLE_ID}] GuidEquals '{role}'")
    problem = problem_of(condition)
    assert problem is not None
    assert problem.position == condition.index(f"'{role}'")


def test_a_junction_is_as_sure_as_its_parts():
    unknown = f"@Request[{PRINCIPAL_TYPE}] StringEquals 'User'"
    yes, no = "ActionMatches{'*'}", "ActionMatches{'x'}"
    for text, expected in (
        (f"{yes} AND {yes}", True),
        (f"{yes} AND {no}", False),
        (f"{no} AND {unknown}", False),
        (f"{yes} AND {unknown}", None),
        (f"{yes} OR {unknown}", True),
        (f"{no} OR {unknown}", None),
        (f"{no} OR {no}", False),
        (f"{no} OR {yes}", True),
        (f"!({unknown})", None),
        (f"!{yes}", False),
        (f"!{no}", True),
    ):
        expression = understood(text)
        assert expression is not None
        assert holds(expression, fold(ASSIGN), NO_ATTRIBUTES) is expected, text
