"""One authz service for the wire tests of the session; each test makes its own principals."""

from collections.abc import Iterator

import pytest

from tests.wire.authz.installation import Installation, World


@pytest.fixture(scope="session")
def authz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    found = Installation(tmp_path_factory.mktemp("authz"))
    yield found
    found.close()


@pytest.fixture
def world(authz: Installation) -> World:
    return World(authz)
