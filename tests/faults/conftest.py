"""What the fault suite shares with the tests of stores: databases, and worlds on both kinds."""

from tests.integration.conftest import (  # noqa: F401 - fixtures
    database_url,
    db,
    open_database,
    postgresql_server,
    postgresql_url,
    sqlite_url,
)
from tests.integration.replication.conftest import world  # noqa: F401 - a fixture
