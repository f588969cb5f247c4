"""A database with every table of the kernel, on SQLite and on PostgreSQL."""

from dataclasses import dataclass

import pytest
from sqlalchemy import MetaData, Table

from services.kernel.db import tables
from services.kernel.db.engine import Database


@dataclass(frozen=True)
class Kernel:
    """The tables of the kernel in an open database."""

    db: Database
    metadata: MetaData
    outbox: Table
    operations: Table
    request_log: Table
    leases: Table
    feed: tuple[Table, Table]
    feed_cursors: Table


@pytest.fixture
def kernel(db: Database) -> Kernel:
    metadata = tables.new_metadata()
    made = Kernel(
        db,
        metadata,
        tables.add_outbox(metadata),
        tables.add_operations(metadata),
        tables.add_request_log(metadata),
        tables.add_leases(metadata),
        tables.add_feed(metadata, "policy"),
        tables.add_feed_cursors(metadata),
    )
    db.transact(metadata.create_all)
    return made
