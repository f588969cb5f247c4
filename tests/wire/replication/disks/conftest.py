"""One authz for the session; a service with its own rows and stores for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.kernel.rpc.registry import Audience
from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as People
from tests.wire.replication.disks.serving import DiskService


@pytest.fixture(scope="session")
def authz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    found = Installation(tmp_path_factory.mktemp("authz"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def people(authz: Installation) -> People:
    return People(authz)


@pytest.fixture
def service(authz: Installation, tmp_path: Path) -> Iterator[DiskService]:
    """A service with a region `home` of two slots, in which nothing is yet."""
    found = serve(authz, tmp_path)
    yield found
    found.close()


@pytest.fixture
def impatient(authz: Installation, tmp_path: Path) -> Iterator[DiskService]:
    """A service that lets no upload be silent for long."""
    found = serve(authz, tmp_path, STOA_REPLICATION_UPLOAD_IDLE_SECONDS="0.3")
    yield found
    found.close()


def serve(authz: Installation, data: Path, **environ: str) -> DiskService:
    ports = authz.ports[Audience.INTERNAL], authz._feed.port
    found = DiskService(authz.layout, data, authz=ports, **environ)
    found.world.add_region("home", slots=2)
    found.head = authz.stores.feed.head
    return found
