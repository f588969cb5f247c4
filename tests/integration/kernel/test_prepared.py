"""Prepared lookups answer what SQLAlchemy would, on SQLite and on PostgreSQL."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    insert,
    select,
)
from sqlalchemy import update as sql_update

from services.kernel.db.engine import Database
from services.kernel.db.tables import Json, UtcTime

METADATA = MetaData()
THINGS = Table(
    "things",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("time", UtcTime),
    Column("document", Json),
    Column("body", LargeBinary),
)
BY_KEY = select(THINGS).where(THINGS.c.key == bindparam("k"))
BY_BOTH = select(THINGS.c.key).where(
    THINGS.c.number == bindparam("n"), THINGS.c.key == bindparam("k")
)
FULL = {
    "key": "full",
    "number": 1,
    "time": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "document": {"b": [1, None], "a": "ü"},
    "body": b"\x00\xff",
}
EMPTY = {"key": "empty", "number": 2, "time": None, "document": None, "body": None}


@pytest.fixture
def things(db: Database) -> Database:
    db.transact(METADATA.create_all)
    db.transact(lambda tx: tx.execute(insert(THINGS), [FULL, EMPTY]))
    return db


def test_a_statement_gives_its_own_limit(things: Database):
    lookup = things.prepare(select(THINGS.c.key).order_by(THINGS.c.key).limit(1))
    assert list(things.first(lookup, {}) or ()) == ["empty"]
    beyond = things.prepare(select(THINGS.c.key).where(THINGS.c.number > bindparam("n")).limit(1))
    assert list(things.first(beyond, {"n": 0}) or ()) != []
    assert things.first(beyond, {"n": 2}) is None


@pytest.mark.parametrize("row", [FULL, EMPTY], ids=["full", "empty"])
def test_a_row_is_what_sqlalchemy_answers(things: Database, row: dict[str, object]):
    found = things.first(things.prepare(BY_KEY), {"k": row["key"]})
    assert found is not None
    assert list(found) == list(row.values())
    assert things.read(lambda c: c.execute(BY_KEY, {"k": row["key"]}).one()) == tuple(found)


def test_what_is_not_there_is_none(things: Database):
    assert things.first(things.prepare(BY_KEY), {"k": "other"}) is None


def test_parameters_are_found_by_name(things: Database):
    lookup = things.prepare(BY_BOTH)
    assert things.first(lookup, {"k": "full", "n": 1}) is not None
    assert things.first(lookup, {"k": "full", "n": 2}) is None


def test_each_lookup_sees_the_newest_commit_and_keeps_no_transaction_open(things: Database):
    lookup = things.prepare(select(THINGS.c.number).order_by(THINGS.c.number))
    change = sql_update(THINGS).where(THINGS.c.key == "full")
    change = change.values(number=THINGS.c.number - 2)
    for number in (-1, -3, -5):
        things.transact(lambda tx: tx.execute(change))
        found = things.first(lookup, {})
        assert found is not None
        assert found[0] == number


def test_a_lookup_is_one_statement_of_those_that_are_collected(things: Database):
    lookup = things.prepare(BY_KEY)
    with things.statements() as statements:
        things.first(lookup, {"k": "full"})
    things.first(lookup, {"k": "full"})
    assert statements == [lookup.text]


def test_a_parameter_that_would_be_converted_is_refused(things: Database):
    with pytest.raises(ValueError, match="parameter t"):
        things.prepare(select(THINGS.c.key).where(THINGS.c.time == bindparam("t")))


def test_a_lookup_is_refused_inside_a_transaction(things: Database):
    lookup = things.prepare(BY_KEY)
    with pytest.raises(RuntimeError, match="inside a transaction"):
        things.transact(lambda _: things.first(lookup, {"k": "full"}))
