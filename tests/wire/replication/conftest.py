"""One authz and one replication service for the tests of the session."""

from collections.abc import Iterator

import pytest

from tests.wire.authz.installation import Installation as Authz
from tests.wire.replication.service import Service, World


@pytest.fixture(scope="session")
def authz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authz]:
    found = Authz(tmp_path_factory.mktemp("authz"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def service(authz: Authz, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("replication")
    stores = {"vhds": f"eastus file://{folder}/vhds", "away": f"westus file://{folder}/away"}
    found = Service(authz, folder, source_stores=stores)
    yield found
    found.close()


@pytest.fixture(scope="session")
def working(service: Service) -> Iterator[Service]:
    """The service with a workers process beside it."""
    process = service.work()
    yield service
    if process.poll() is None:
        service.end(process)


@pytest.fixture
def world(service: Service) -> World:
    return World(service)
