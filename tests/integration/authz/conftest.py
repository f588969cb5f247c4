"""An authz database on SQLite and on PostgreSQL."""

from collections.abc import Callable

import pytest

from services.authz.bootstrap.stores import stores_of
from services.authz.store.opening import Stores
from services.authz.store.schema import MIGRATIONS
from services.kernel.db.engine import Database
from services.kernel.db.migrations import migrate


@pytest.fixture
def stores(database_url: str, open_database: Callable[..., Database]) -> Stores:
    migrate(database_url, MIGRATIONS)
    return stores_of(open_database(database_url))
