"""Worlds of the replication service on both kinds of database."""

from collections.abc import Iterator

import pytest

from tests.integration.replication.world import World


@pytest.fixture
def world(db, tmp_path) -> Iterator[World]:
    made = World(db, tmp_path / "stores").create_schema()
    yield made
    made.close()
