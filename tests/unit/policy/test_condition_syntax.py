import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.policy.condition_syntax import (
    FUNCTIONS,
    MAX_DEPTH,
    MAX_LENGTH,
    OPERATORS,
    QUANTIFIERS,
    SOURCES,
    Attribute,
    Comparison,
    ConditionError,
    Exists,
    Function,
    Junction,
    Negation,
    Value,
    parse,
)

ROLE = "@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId]"


def test_a_condition_of_the_original_is_read_whole():
    action = "Microsoft.Authorization/roleAssignments/write"
    text = (
        f"(\n (\n  !(ActionMatches{{'{action}'}})\n )\n OR \n"
        f" (\n  {ROLE} ForAnyOfAnyValues:GuidEquals {{acdd72a7-3385, b}}\n )\n)"
    )
    name = "microsoft.authorization/roleassignments:roledefinitionid"
    assert parse(text) == Junction(
        False,
        (
            Negation(Function("actionmatches", Value(action, text.index("'")))),
            Comparison(
                Attribute("request", name, text.index("@")),
                "guidequals",
                (Value("acdd72a7-3385", text.index("acdd")), Value("b", text.index("b}"))),
                "foranyofanyvalues",
            ),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "@Resource[Microsoft.Storage/a/b/c:name] StringEquals 'x'",
        "@Resource[a/tags:Project<$key_case_sensitive$>] StringLikeIgnoreCase 'x*'",
        "@Environment[UtcNow] DateTimeGreaterThan '2026-01-01T00:00:00.0Z'",
        "@Resource[a:isHnsEnabled] BoolEquals true",
        "@Principal[Microsoft.Directory/X:y] StringEquals @Resource[a:b]",
        "{10, 20} ForAllOfAllValues:NumericLessThan {25, 30}",
        "NOT Exists @Request[a:b]",
        "!(ActionMatches{'a'} AND NOT SubOperationMatches{'Blob.List'})",
        "ActionMatches{'a'} && ActionMatches{'b'} and ActionMatches{'c'}",
        "(ActionMatches{'a'} || ActionMatches{'b'}) AND ActionMatches{'c'}",
        "ACTIONMATCHES{''}",
    ],
)
def test_what_the_original_writes_can_be_read(text):
    parse(text)


WORDED = {
    *("BoolEquals", "BoolNotEquals", "GuidEquals", "GuidNotEquals"),
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringStartsWith", "StringNotStartsWith"),
    *("StringStartsWithIgnoreCase", "StringNotStartsWithIgnoreCase"),
    *("StringLike", "StringNotLike", "StringLikeIgnoreCase", "StringNotLikeIgnoreCase"),
    *("NumericEquals", "NumericNotEquals", "NumericGreaterThan", "NumericGreaterThanEquals"),
    *("NumericLessThan", "NumericLessThanEquals"),
    *("DateTimeEquals", "DateTimeNotEquals", "DateTimeGreaterThan", "DateTimeGreaterThanEquals"),
    *("DateTimeLessThan", "DateTimeLessThanEquals"),
}
COUNTED = {"ForAnyOfAnyValues", "ForAllOfAnyValues", "ForAnyOfAllValues", "ForAllOfAllValues"}


def test_the_operators_of_the_original_are_read_and_no_others():
    found = [parse(f"@Request[a:b] {operator} 'x'") for operator in sorted(WORDED)]
    operators = {one.operator for one in found if isinstance(one, Comparison)}
    assert operators == {operator.lower() for operator in WORDED} == OPERATORS


def test_the_quantifiers_of_the_original_are_read_and_no_others():
    found = [parse(f"@Request[a:b] {one}:StringEquals {{'x', y}}") for one in sorted(COUNTED)]
    quantifiers = {one.quantifier for one in found if isinstance(one, Comparison)}
    assert quantifiers == {one.lower() for one in COUNTED} == QUANTIFIERS


def test_a_comparison_without_a_quantifier_has_an_empty_one():
    found = parse("@Request[a:b] StringEquals 'x'")
    value = (Value("x", 27),)
    assert found == Comparison(Attribute("request", "a:b", 0), "stringequals", value, "")


@pytest.mark.parametrize("word", ["Exists", "ActionMatches", "NOT", "!", "(", "{"])
def test_what_means_something_means_nothing_in_quotes(word):
    found = parse(f"'{word}' StringEquals @Request[a:b]")
    assert isinstance(found, Comparison)
    assert found.left == (Value(word, 0),)
    with pytest.raises(ConditionError, match="an operator is expected"):
        parse(f"'{word}'{{'a'}}")


@pytest.mark.parametrize(
    ("text", "problem", "position"),
    [
        ("@Request[a:b] 'StringEquals' 'x'", "an operator is expected", 14),
        ("@Request[a:b] 'ForAnyOfAnyValues':StringEquals {x}", "an operator is expected", 14),
        ("@Request[a:b] ForAnyOfAnyValues:'StringEquals' {x}", "an operator is expected", 32),
        ("ActionMatches'{'a'}'", "'{' is expected", 13),
        ("(ActionMatches{'a'}')'", "')' is expected", 19),
        ("ActionMatches{'a'} 'AND' ActionMatches{'b'}", "AND, OR or the end is expected", 19),
    ],
)
def test_what_is_in_quotes_is_no_operator_and_no_sign(text, problem, position):
    with pytest.raises(ConditionError) as raised:
        parse(text)
    assert (raised.value.problem, raised.value.position) == (problem, position)


def test_what_is_wrong_is_told_with_its_position():
    with pytest.raises(ConditionError) as raised:
        parse("Exists 'a'")
    assert raised.value.problem == "an attribute is expected after Exists"
    assert str(raised.value) == "an attribute is expected after Exists, at position 7"


def test_signs_and_words_join_alike():
    signs = parse("!ActionMatches{'a'} && (ActionMatches{'b'})")
    words = parse("NOT ActionMatches{'a'} AND ActionMatches{'b'}")
    assert isinstance(signs, Junction)
    assert isinstance(words, Junction)
    assert signs.all is words.all is True
    assert [type(one) for one in signs.of] == [type(one) for one in words.of]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("   ", 3),
        ("(", 1),
        ("()", 1),
        ("ActionMatches", 13),
        ("ActionMatches{a}", 14),
        ("ActionMatches{'a'", 17),
        ("ActionMatches{'a'}}", 18),
        ("ActionMatches{'a'} AND", 22),
        ("ActionMatches{'a'} ActionMatches{'b'}", 19),
        ("ActionMatches{'a'} AND ActionMatches{'b'} OR ActionMatches{'c'}", 42),
        ("Exists 'a'", 7),
        (f"{ROLE} GuidEqual x", 67),
        (f"{ROLE} ForAnyOfAnyValues GuidEquals {{x}}", 85),
        (f"{ROLE} ForAnyOfAnyValues:Equals {{x}}", 85),
        (f"{ROLE} GuidEquals", 77),
        (f"{ROLE} GuidEquals {{}}", 79),
        (f"{ROLE} GuidEquals {{x,}}", 81),
        ("@Caller[a:b] StringEquals 'x'", 0),
        ("@Request StringEquals 'x'", 0),
        ("'it''s", 4),
        ("#", 0),
        ("é", 0),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_begins_to_be_wrong(text, position):
    with pytest.raises(ConditionError) as raised:
        parse(text)
    assert raised.value.position == position


def test_length_and_depth_are_bounded():
    assert (MAX_LENGTH, MAX_DEPTH) == (8_192, 32)
    least = "ActionMatches{'a'}"
    deepest = MAX_DEPTH - 1
    assert isinstance(parse("!" * deepest + least), Negation)
    assert isinstance(parse("(" * deepest + least + ")" * deepest), Function)
    for text in ("!" * MAX_DEPTH + least, "(" * 5000, "! ( " * 2000):
        with pytest.raises(ConditionError):
            parse(text)
    parse(least + " " * (MAX_LENGTH - len(least)))
    with pytest.raises(ConditionError) as raised:
        parse(least + " " * (MAX_LENGTH - len(least) + 1))
    assert raised.value.position == MAX_LENGTH


def test_exists_is_about_an_attribute():
    found = parse("Exists @Resource[A:B]")
    assert found == Exists(Attribute("resource", "a:b", 7))


PIECES = st.sampled_from(
    [
        *(f"@{one}[a:b]" for one in sorted(SOURCES)),
        *sorted(FUNCTIONS | QUANTIFIERS | OPERATORS),
        *"!(){},:'@[]",
        *("AND", "OR", "NOT", "&&", "||", "Exists", "'text'", "1", "true", " ", "\n"),
    ]
)


@given(st.text() | st.text(string.printable) | st.lists(PIECES, max_size=60).map(" ".join))
def test_any_text_is_read_or_refused_and_nothing_else_is_raised(text):
    found: ConditionError | None = None
    try:
        parse(text)
    except ConditionError as error:
        found = error
    assert found is None or 0 <= found.position <= len(text)
