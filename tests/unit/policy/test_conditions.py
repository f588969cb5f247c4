import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.names import fold
from services.policy.conditions import (
    ASSIGN,
    MAKE_ELIGIBLE,
    PRESUMED,
    PRINCIPAL_ID,
    PRINCIPAL_TYPE,
    ROLE_ID,
    UNASSIGN,
    Attributes,
    holds,
    problem_of,
    understood,
)
from services.policy.decision import Question, Reason
from services.policy.evaluation import evaluate
from tests.unit.policy.test_condition_syntax import PIECES
from tests.unit.policy.worlds import ALICE, GALLERY, NOW, SUBSCRIPTION, ask, assign, role, world

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
READ = "Microsoft.Authorization/roleAssignments/read"


def template(giving: str, taking: str = "") -> str:
    """What the original's portal writes for a delegate."""
    taking = taking or giving.replace("@Request", "@Resource")
    return (
        f"((!(ActionMatches{{'{ASSIGN}'}})) OR ({giving}))"
        f" AND ((!(ActionMatches{{'{UNASSIGN}'}})) OR ({taking}))"
    )


ONLY_READER = f"@Request[{ROLE_ID}] ForAnyOfAnyValues:GuidEquals {{{READER}}}"
NOT_OWNER = f"@Request[{ROLE_ID}] ForAnyOfAllValues:GuidNotEquals {{{OWNER}, {OWNER}}}"
GROUPS = f"@Request[{PRINCIPAL_TYPE}] StringEqualsIgnoreCase 'group'"
ADA = f"@Request[{PRINCIPAL_ID}] ForAnyOfAnyValues:GuidEquals {{ada, 'tenants/t2/users/bob'}}"


def values(role_id=READER, type="Group", *principal: str):
    return {
        ROLE_ID: (role_id, f"roleDefinitions/{role_id}"),
        PRINCIPAL_TYPE: (type,),
        PRINCIPAL_ID: principal or ("ada", "tenants/t1/users/ada"),
    }


def outcome(condition, action=ASSIGN, about=None):
    expression = understood(condition)
    assert expression is not None
    attributes = Attributes() if about is None else Attributes.of(action, about)
    return holds(expression, fold(action), attributes)


@pytest.mark.parametrize("action", [ASSIGN, UNASSIGN, MAKE_ELIGIBLE])
def test_a_delegate_is_held_to_roles(action):
    assert outcome(template(ONLY_READER), action, values()) is True
    assert outcome(template(ONLY_READER), action, values(READER.upper())) is True
    assert outcome(template(ONLY_READER), action, values(OWNER)) is False
    assert outcome(template(NOT_OWNER), action, values()) is True
    assert outcome(template(NOT_OWNER), action, values(OWNER)) is False


def test_a_delegate_is_held_to_kinds_of_principals_and_to_principals():
    both = template(f"{ONLY_READER} AND {GROUPS}")
    assert outcome(both, about=values()) is True
    assert outcome(both, about=values(type="User")) is False
    assert outcome(both, about=values(OWNER)) is False
    assert outcome(template(ADA), about=values()) is True
    assert outcome(template(ADA), about=values(READER, "User", "tenants/t2/users/BOB")) is True
    assert outcome(template(ADA), about=values(READER, "User", "tenants/t2/users/ada")) is False


def test_other_actions_of_the_role_need_no_attributes():
    assert outcome(template(ONLY_READER), READ) is True


@pytest.mark.parametrize("action", [ASSIGN, UNASSIGN, MAKE_ELIGIBLE])
def test_what_needs_an_attribute_that_is_missing_is_unknown_and_so_is_its_negation(action):
    assert outcome(template(ONLY_READER), action) is None
    assert outcome(f"!({ONLY_READER})", action) is None
    assert outcome(f"{ONLY_READER} OR ActionMatches{{'*'}}", action) is True
    assert outcome(f"{ONLY_READER} AND !(ActionMatches{{'*'}})", action) is False


def test_a_deletion_has_no_attributes_of_a_request_nor_a_creation_of_a_resource():
    assert outcome(ONLY_READER, UNASSIGN, values()) is None
    assert outcome(ONLY_READER.replace("@Request", "@Resource"), ASSIGN, values()) is None


def test_making_eligible_is_bound_by_what_is_said_of_giving_and_of_taking():
    giving_alone = template(ONLY_READER, f"@Resource[{ROLE_ID}] GuidEquals {OWNER}")
    assert outcome(giving_alone, ASSIGN, values()) is True
    assert outcome(giving_alone, MAKE_ELIGIBLE, values()) is False


@pytest.mark.parametrize("quantifier", ["", "ForAnyOfAnyValues:", "ForAllOfAnyValues:"])
def test_one_value_of_several_is_enough_where_any_is_meant(quantifier):
    condition = f"@Request[{PRINCIPAL_TYPE}] {quantifier}StringEquals {{'Group'}}"
    assert outcome(condition, about=values()) is True
    assert outcome(condition, about=values(type="group")) is False
    if quantifier:
        several = condition.replace("{'Group'}", "{'User', 'Group'}")
        assert outcome(several, about=values()) is True
        assert outcome(several.replace("OfAny", "OfAll"), about=values()) is False


@pytest.mark.parametrize("source", ["Request", "Resource"])
def test_negated_operators_deny_what_the_others_grant(source):
    action = ASSIGN if source == "Request" else UNASSIGN
    for operator, case in itertools.product(("StringEquals", "StringEqualsIgnoreCase"), range(2)):
        text = ("Group", "group")[case]
        positive = f"@{source}[{PRINCIPAL_TYPE}] {operator} '{text}'"
        negative = positive.replace("Equals", "NotEquals")
        found = outcome(positive, action, values())
        assert found is (text == "Group" or operator.endswith("Case"))
        assert outcome(negative, action, values()) is not found


@pytest.mark.parametrize(
    "condition",
    [
        "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'x'",
        f"@Principal[{ROLE_ID}] GuidEquals {READER}",
        f"@Request[{ROLE_ID}] StringEquals '{READER}'",
        f"@Request[{PRINCIPAL_TYPE}] StringLike 'U*'",
        f"@Request[{PRINCIPAL_TYPE}] StringEquals {{'User', 'Group'}}",
        f"@Request[{PRINCIPAL_TYPE}] StringEquals @Resource[{PRINCIPAL_TYPE}]",
        f"{{'User'}} StringEquals @Request[{PRINCIPAL_TYPE}]",
        "{1} ForAnyOfAnyValues:NumericEquals {1}",
        "SubOperationMatches{'Blob.List'}",
        f"Exists @Request[{ROLE_ID}]",
        f"ActionMatches{{'*'}} OR Exists @Request[{ROLE_ID}]",
    ],
)
def test_what_is_not_evaluated_voids_its_assignment_whatever_else_the_condition_says(condition):
    assert problem_of(condition) is None
    assert understood(condition) is None
    held = assign("r1", SUBSCRIPTION, condition=condition)
    found = ask(world(role("*"), held), ASSIGN, GALLERY)
    assert (found.allowed, found.reason) == (False, Reason.CONDITION_UNSUPPORTED)


@pytest.mark.parametrize(
    ("condition", "begin"),
    [
        ("ActionMatches{'**********'}", "'"),
        ("ActionMatches{'a b'}", "'"),
        ("ActionMatches{''}", "'"),
        (f"@Request[{ROLE_ID}] GuidNotEquals Owner", "Owner"),
        (f"@Request[{ROLE_ID}] ForAnyOfAnyValues:GuidEquals {{{READER}, Owner}}", "Owner"),
    ],
)
def test_what_says_something_else_than_was_meant_cannot_be_written(condition, begin):
    problem = problem_of(condition)
    assert problem is not None
    assert problem.position == condition.index(begin)
    # What was stored before there was such a rule grants nothing.
    assert understood(condition) is None


def test_a_decision_looks_at_the_attributes_of_its_own_question():
    held = assign("r1", SUBSCRIPTION, condition=template(ONLY_READER))
    index = world(role("*"), held)
    bare = ask(index, ASSIGN, GALLERY)
    assert (bare.allowed, bare.reason) == (False, Reason.CONDITION_FALSE)
    assert ask_with(index, values()).allowed
    assert ask_with(index, values(OWNER)).reason is Reason.CONDITION_FALSE
    assert ask(index, READ, GALLERY).allowed
    # Neither is remembered for the other.
    assert not ask(index, ASSIGN, GALLERY).allowed
    assert ask_with(index, values()).allowed


def test_an_assignment_without_a_condition_counts_beside_one_that_is_false():
    held = assign("r1", SUBSCRIPTION, condition=template(ONLY_READER))
    index = world(role("*"), held, assign("r1", GALLERY, id="free"))
    assert ask(index, ASSIGN, GALLERY).allowed
    assert not ask(index, ASSIGN, SUBSCRIPTION).allowed


def test_presuming_passes_what_is_unknown_and_nothing_that_is_false():
    index = world(role("*"), assign("r1", SUBSCRIPTION, condition=template(ONLY_READER)))
    assert ask_attributes(index, PRESUMED).allowed
    never = assign("r1", SUBSCRIPTION, condition=f"{ONLY_READER} AND !(ActionMatches{{'*'}})")
    assert ask_attributes(world(role("*"), never), PRESUMED).reason is Reason.CONDITION_FALSE
    unread = assign("r1", SUBSCRIPTION, condition=f"Exists @Request[{ROLE_ID}]")
    found = ask_attributes(world(role("*"), unread), PRESUMED)
    assert found.reason is Reason.CONDITION_UNSUPPORTED


ATTRIBUTES = st.builds(
    Attributes,
    *(st.dictionaries(st.sampled_from(["a:b", fold(ROLE_ID)]), st.sets(st.text())),) * 2,
    st.booleans(),
)
KNOWN = st.sampled_from([ONLY_READER, NOT_OWNER, GROUPS, ADA, "ActionMatches{'*/write'}"])
CONDITIONS = st.recursive(
    KNOWN,
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner).map(" AND ".join).map("({})".format),
        st.tuples(inner, inner).map(" OR ".join).map("({})".format),
    ),
    max_leaves=8,
)


@given(CONDITIONS, st.sampled_from([ASSIGN, UNASSIGN, MAKE_ELIGIBLE, READ]), ATTRIBUTES)
def test_evaluation_raises_nothing_and_a_negation_is_never_true_with_what_it_negates(
    condition, action, attributes
):
    expression = understood(condition)
    assert expression is not None
    found = holds(expression, fold(action), attributes)
    negated = understood(f"!({condition})")
    if negated is not None:
        assert holds(negated, fold(action), attributes) is (None if found is None else not found)


@given(CONDITIONS, st.sampled_from([ASSIGN, UNASSIGN, READ]))
def test_what_holds_without_attributes_holds_with_any(condition, action):
    expression = understood(condition)
    assert expression is not None
    without = holds(expression, fold(action), Attributes())
    if without is not None:
        about = Attributes.of(action, values(OWNER))
        assert holds(expression, fold(action), about) is without


@given(st.text() | st.lists(PIECES, max_size=40).map(" ".join))
def test_no_text_makes_a_decision_fail(text):
    problem_of(text)
    held = assign("r1", SUBSCRIPTION, condition=text)
    allowed = ask(world(role("*"), held), ASSIGN, GALLERY).allowed
    assert allowed is (text == "" or (understood(text) is not None and bool(outcome(text))))


def ask_with(index, about):
    return ask_attributes(index, Attributes.of(ASSIGN, about))


def ask_attributes(index, attributes):
    return evaluate(index, ALICE, Question(ASSIGN, GALLERY, attributes=attributes), now=NOW)
