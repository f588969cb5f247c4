"""The catalogs that the model is compared with: one on SQLite, one on PostgreSQL."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.authz.installation import Installation
from tests.wire.catalog.model.service import Service

# Not imported: that would start what belongs to another process.
_SERVER = Path(__file__).parents[3] / "integration" / "postgresql.py"


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    """The URL of a database on a server of its own."""
    with subprocess.Popen(
        [sys.executable, _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "PostgreSQL did not start; the captured stderr says why"
        yield url


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def service(
    request: pytest.FixtureRequest,
    authz: Installation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    url: str = "" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    data: Path = tmp_path_factory.mktemp("model")
    found = Service(authz, data, url)
    yield found
    found.close()
