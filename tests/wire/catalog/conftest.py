"""One catalog for the wire tests of the session; each test makes its own resources."""

from collections.abc import Iterator

import pytest

from tests.wire.authz.installation import Installation
from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import Catalog, World
from tests.wire.catalog.replication import Replication


@pytest.fixture(scope="session")
def authz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    found = Installation(tmp_path_factory.mktemp("authz"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def replication(authz: Installation) -> Iterator[Replication]:
    found = Replication(authz.layout)  # type: ignore[abstract] # what is left out is not called
    found.add_region("eastus", "East US")
    found.add_region("eastus2", "East US 2")
    found.add_region("westus", "West US", slots=1)
    yield found
    found.close()


@pytest.fixture(scope="session")
def catalog(
    authz: Installation, replication: Replication, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    found = Catalog(
        authz,
        replication,
        tmp_path_factory.mktemp("catalog"),
        subscription_regions={"narrow": "eastus eastus2"},
        # All tests of the session are in one subscription.
        max_galleries=10_000,
    )
    yield found
    found.close()


@pytest.fixture
def world(catalog: Catalog) -> World:
    return World(catalog)


@pytest.fixture
def policy(authz: Installation) -> Policy:
    """Makes principals and grants them roles."""
    return Policy(authz)
