"""The migrations make the schema that the tables describe."""

import re

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.kernel.db.engine import Database
from services.kernel.db.migrations import check_schema, migrate
from services.replication.domain.states import UNFINISHED, CopyState
from services.replication.store import tables
from services.replication.store.schema import MIGRATIONS, REVISION


def test_the_migrated_schema_is_that_of_the_tables(database_url: str):
    assert migrate(database_url, MIGRATIONS) == REVISION
    with Database.open(database_url) as db:
        check_schema(db, REVISION)
        differences = db.read(
            lambda c: compare_metadata(MigrationContext.configure(c), tables.metadata)
        )
    assert differences == []


def test_the_index_of_unfinished_tasks_holds_exactly_those():
    ended = set(re.findall(r"'([A-Z]+)'", str(tables.UNFINISHED)))
    assert ended == {state.value for state in set(CopyState) - UNFINISHED}
