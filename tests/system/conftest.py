"""The installations that the system tests run against."""

from collections.abc import Iterator

import pytest

from tests.system.disks import MIB
from tests.system.installation import Installation, installed
from tests.system.publishing import make_regions
from tests.system.seeding import source_stores, sow
from tests.system.victims import Victim, make_victim

# Small ones, so that copies of small disks have a middle too: one segment at a time is durable.
WINDOWS = {"STOA_REPLICATION_COPY_WINDOW_BYTES": str(8 * MIB)}


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with three regions, for tests that break nothing; it exports its spans."""
    folder = tmp_path_factory.mktemp("stoa")
    settings = {
        "STOA_REPLICATION_SOURCE_STORES": source_stores(folder / "vhds"),
        "STOA_TELEMETRY_FILE": str(folder / "spans.jsonl"),
    }
    with installed(folder, **settings, **WINDOWS) as found:
        make_regions(found)
        yield found


@pytest.fixture(scope="session")
def sown(installation: Installation) -> Victim:
    """An owner who has used everything, for attackers who change nothing of it."""
    found = make_victim(installation)
    sow(found)
    return found
