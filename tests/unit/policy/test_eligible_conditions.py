"""What a condition says of giving and of taking roles binds who makes somebody eligible."""

import pytest

from services.policy.builtin_roles import OWNER, READER
from services.policy.conditions import MAKE_ELIGIBLE, Attributes, holds, understood

PREFIX = "Microsoft.Authorization/roleAssignments"
WRITE = f"ActionMatches{{'{PREFIX}/write'}}"
DELETE = f"ActionMatches{{'{PREFIX}/delete'}}"
ELIGIBLE = f"ActionMatches{{'{MAKE_ELIGIBLE}'}}"
READS = f"@Request[{PREFIX}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{READER.id}}}"


@pytest.mark.parametrize(
    ("condition", "for_owner", "for_reader"),
    [
        # As the original's template has it.
        (f"(!({WRITE})) OR ({READS})", False, True),
        # Whoever may take any role may still give only one.
        (f"({WRITE} AND {READS}) OR ({DELETE})", False, True),
        (f"({DELETE} AND {READS}) OR ({WRITE})", False, True),
        (f"(!({ELIGIBLE})) OR ({READS})", False, True),
        (WRITE, False, False),
        (DELETE, False, False),
        (f"{WRITE} OR {DELETE}", True, True),
        (f"!({WRITE} OR {DELETE})", False, False),
        (ELIGIBLE, True, True),
        (READS, False, True),
    ],
)
def test_both_have_to_be_allowed(condition, for_owner, for_reader):
    expression = understood(condition)
    assert expression is not None
    for role, wanted in ((OWNER, for_owner), (READER, for_reader)):
        told = Attributes.of(MAKE_ELIGIBLE, {f"{PREFIX}:RoleDefinitionId": (role.id,)})
        assert holds(expression, MAKE_ELIGIBLE.lower(), told) is wanted


def test_what_is_unknown_for_one_of_the_two_is_unknown():
    expression = understood(f"({WRITE} AND {READS}) OR ({DELETE})")
    assert expression is not None
    assert holds(expression, MAKE_ELIGIBLE.lower(), Attributes()) is None
