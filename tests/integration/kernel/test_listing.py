import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from services.kernel.db.listing import after, at_or_below, compare, conditions
from services.kernel.db.tables import KeyText
from services.kernel.filter import Kind, parse_filter

METADATA = MetaData()
ROWS = Table(
    "rows",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text),
    Column("size", Integer, nullable=False),
)

SCOPES = Table("scopes", METADATA, Column("key", KeyText, primary_key=True))


@pytest.fixture
def rows(db):
    def fill(tx):
        METADATA.create_all(tx)
        for number in range(24):
            tx.execute(insert(ROWS).values(id=number, name=f"N{number % 5}", size=number % 3))
        tx.execute(insert(ROWS).values(id=99, name=None, size=1))

    db.transact(fill)
    return db


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.tuples(st.booleans(), st.booleans()), st.integers(1, 9))
def test_pages_hold_every_row_once_in_order(rows, descending, limit):
    columns = [ROWS.c.size, ROWS.c.id]
    order = [
        column.desc() if down else column.asc()
        for column, down in zip(columns, descending, strict=True)
    ]
    statement = select(*columns).order_by(*order)
    found, last = [], None
    while page := rows.read(
        lambda c, last=last: c.execute(
            statement.where(after(columns, last, descending=descending)).limit(limit)
            if last
            else statement.limit(limit)
        ).all()
    ):
        found += page
        last = page[-1]
    assert found == rows.read(lambda c: c.execute(statement).all())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 25),
        ("name = N1", 5),
        ("name != N1", 20),
        ("name : n1", 5),
        ("name : n", 24),
        ('name : "%"', 0),
        ("size > 0 AND size <= 1", 9),
        ("size >= 1 AND name < N1", 3),
    ],
)
def test_a_filter_selects_the_rows_that_it_describes(rows, text, count):
    fields = {"name": Kind.STRING, "size": Kind.INTEGER}
    where = conditions(parse_filter(text, fields), dict(ROWS.c.items()))
    found = rows.read(lambda c: c.execute(select(ROWS.c.id).where(*where)).all())
    assert len(found) == count


def test_a_map_is_compared_by_what_the_store_says(rows):
    parsed = parse_filter("tags.env = N2", {"tags": Kind.MAP})
    seen = []

    def condition(comparison):
        seen.append(comparison.map_key)
        return compare(ROWS.c.name, comparison)

    where = conditions(parsed, {}, {"tags": condition})
    assert len(rows.read(lambda c: c.execute(select(ROWS.c.id).where(*where)).all())) == 5
    assert seen == ["env"]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("/", ["a/1", "a/1-b/2", "a/1/b/2", "a/1/b/2/c/3", "a/10", "b/1"]),
        ("a/1", ["a/1", "a/1/b/2", "a/1/b/2/c/3"]),
        ("a/1/b/2", ["a/1/b/2", "a/1/b/2/c/3"]),
        ("a", ["a/1", "a/1-b/2", "a/1/b/2", "a/1/b/2/c/3", "a/10"]),
        ("c", []),
    ],
)
def test_what_lies_below_a_scope_is_found_by_its_key(rows, scope, expected):
    keys = ["a/1", "a/1-b/2", "a/1/b/2", "a/1/b/2/c/3", "a/10", "b/1"]
    rows.transact(lambda tx: tx.execute(insert(SCOPES), [{"key": one} for one in keys]))
    where = at_or_below(SCOPES.c.key, scope)
    found = rows.read(lambda c: c.execute(select(SCOPES.c.key).where(where)).scalars().all())
    assert sorted(found) == sorted(expected)
