from collections.abc import Collection
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import InvalidArgument
from services.kernel.filter import Comparison, Kind, Op, Order, parse_filter, parse_order_by

FIELDS: dict[str, Kind | Collection[str]] = {
    "name": Kind.STRING,
    "size.low": Kind.INTEGER,
    "hidden": Kind.BOOLEAN,
    "create_time": Kind.TIME,
    "tags": Kind.MAP,
    "state": ("CREATING", "SUCCEEDED"),
}
JANUARY = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  ", ()),
        ("name = web", (Comparison("name", Op.EQ, "web"),)),
        ("name=web", (Comparison("name", Op.EQ, "web"),)),
        ("name:we", (Comparison("name", Op.HAS, "we"),)),
        ('name != "a b"', (Comparison("name", Op.NE, "a b"),)),
        (r'name = "a \"b\" \\ c"', (Comparison("name", Op.EQ, r'a "b" \ c'),)),
        ("name = 'it is \"x\"'", (Comparison("name", Op.EQ, 'it is "x"'),)),
        ('name = ""', (Comparison("name", Op.EQ, ""),)),
        ('name = "a AND b"', (Comparison("name", Op.EQ, "a AND b"),)),
        ("size.low >= -5", (Comparison("size.low", Op.GE, -5),)),
        ("hidden = true", (Comparison("hidden", Op.EQ, True),)),
        ("state = CREATING", (Comparison("state", Op.EQ, "CREATING"),)),
        ('create_time < "2026-01-31T12:00:00Z"', (Comparison("create_time", Op.LT, JANUARY),)),
        ("create_time<2026-01-31T13:00:00+01:00", (Comparison("create_time", Op.LT, JANUARY),)),
        ("tags.env = prod", (Comparison("tags", Op.EQ, "prod", "env"),)),
        ("tags.env:prod", (Comparison("tags", Op.HAS, "prod", "env"),)),
        ("tags:env", (Comparison("tags", Op.HAS, "", "env"),)),
        ('tags."cost.center" = 7', (Comparison("tags", Op.EQ, "7", "cost.center"),)),
        ("tags.a.b = 7", (Comparison("tags", Op.EQ, "7", "a.b"),)),
        (
            "name = a AND size.low > 1 AND size.low <= 3",
            (
                Comparison("name", Op.EQ, "a"),
                Comparison("size.low", Op.GT, 1),
                Comparison("size.low", Op.LE, 3),
            ),
        ),
    ],
)
def test_a_filter_is_read_as_comparisons(text, expected):
    assert parse_filter(text, FIELDS) == expected


@pytest.mark.parametrize(
    "text",
    [
        "unknown = 1",
        "name",
        "name =",
        "= a",
        "name = a b",
        "name = a name = b",
        "name = a AND",
        "AND name = a",
        "name = a AND AND name = b",
        "name = a OR name = b",
        "NOT name = a",
        "-name = a",
        "(name = a)",
        "name = (a)",
        "name == a",
        'name = "open',
        "size.low = many",
        "size.low = 1.5",
        "size.low = 99999999999999999999",
        "size.low : 1",
        "hidden > true",
        "hidden = 1",
        "state = DELETED",
        "state < CREATING",
        "create_time > yesterday",
        "create_time > 2026-01-31T12:00:00",
        'create_time > "0001-01-01T00:00:00+23:59"',
        'create_time < "9999-12-31T23:59:59-00:01"',
        "tags = a",
        "tags.env < a",
        "name.first = a",
        "exists(name)",
        "name = " + "a" * 2048,
        " AND ".join(["name = a"] * 21),
        "\x00",
    ],
)
def test_what_is_not_understood_is_refused(text):
    with pytest.raises(InvalidArgument) as refused:
        parse_filter(text, FIELDS)
    assert {violation.field for violation in refused.value.violations} == {"filter"}


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(InvalidArgument) as refused:
        parse_filter("unknown = 1 AND hidden = maybe AND name = fine AND size.low = x", FIELDS)
    assert len(refused.value.violations) == 3


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text):
    try:
        found = parse_filter(text, FIELDS)
    except InvalidArgument:
        return
    assert all(comparison.field in FIELDS for comparison in found)


TOKENS = ("name", "size.low", "tags.x", "=", ":", ">", "AND", "(", ")", "'", '"', "\\", "a", "1")


@given(st.lists(st.sampled_from(TOKENS)))
def test_no_order_of_tokens_breaks_the_parser(tokens):
    try:
        parse_filter(" ".join(tokens), FIELDS)
    except InvalidArgument as error:
        refused: tuple[object, ...] = error.violations
    else:
        refused = (None,)
    assert refused


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_string_can_be_quoted(text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_filter(f'name = "{quoted}"', FIELDS) == (Comparison("name", Op.EQ, text),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("name", (Order("name"),)),
        (" name asc , size.low desc", (Order("name"), Order("size.low", descending=True))),
    ],
)
def test_an_order_is_read(text, expected):
    assert parse_order_by(text, FIELDS) == expected


@pytest.mark.parametrize(
    "text", ["unknown", "name up", "name,", "name, name desc", "name desc asc"]
)
def test_an_order_that_is_not_understood_is_refused(text):
    with pytest.raises(InvalidArgument) as refused:
        parse_order_by(text, FIELDS)
    assert {violation.field for violation in refused.value.violations} == {"order_by"}
