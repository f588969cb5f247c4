"""One replication whose workers are killed again and again, whatever they are doing."""

import os
import random
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.system.copying import (
    BYTES_PER_SECOND,
    REGIONS,
    SLOW,
    WINDOW,
    Copying,
    copying,
    fragile_installation,
)
from tests.system.disks import MIB
from tests.system.installation import Installation, eventually

#: `STOA_KILLS=100` is the long run; `STOA_KILLS_SEED` begins elsewhere.
KILLS = int(os.environ.get("STOA_KILLS", "3"))
SEED = os.environ.get("STOA_KILLS_SEED", "1")
# How long a worker may get on until it is killed.
MOST_SECONDS = 1.5
# What they can copy in that time altogether is less than the whole.
SIZE_MIB = 8 + int((KILLS + 1) * (MOST_SECONDS + 0.5) * BYTES_PER_SECOND / MIB)

pytestmark = pytest.mark.timeout(240 + KILLS * 30)


@pytest.fixture
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with fragile_installation(tmp_path_factory.mktemp("kills")) as installation:
        yield installation


def test_what_is_killed_again_and_again_ends_whole_and_copies_little_twice(
    fragile: Installation,
) -> None:
    rng = random.Random(SEED)
    version = copying(fragile, 500, SIZE_MIB)
    eventually(version.store(SLOW).journals, "a durable window in the slow region")
    for number in range(1, KILLS + 1):
        # Not while it only starts: nothing would be under way.
        eventually(partial(is_begun, version, number), f"attempt {number}")
        time.sleep(rng.uniform(0, MOST_SECONDS))
        assert version.store(SLOW).ref(version.uid) is None
        if number == KILLS:
            version.hasten(SLOW)
        os.kill(fragile.workers("replication"), signal.SIGKILL)
        assert version.readable(SLOW) == set()
    version.assert_complete()
    for region in REGIONS:
        assert version.bytes_again(region) <= KILLS * WINDOW


def is_begun(version: Copying, attempt: int) -> bool:
    """Whether a worker has begun the slow copy so many times."""
    (replica,) = version.region(SLOW).replicas
    return replica.attempt >= attempt
