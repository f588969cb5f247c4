"""Versions are deleted, and their bytes collected, while they are being read."""

import threading
from collections.abc import Iterator

import pytest

from services.replication.content.errors import ObjectMissing
from services.replication.content.refs import read_version
from services.replication.content.store import Store
from tests.faults.invariants import assert_invariants
from tests.faults.workers import on_sqlite, wait_until
from tests.integration.replication.test_collection import (
    FIRST,
    NEW,
    OLD,
    SECOND,
    age,
    collect,
    far,  # noqa: F401 - a fixture
    reader_of,
    withdraw,
)
from tests.integration.replication.world import World

READERS = 4

pytestmark = on_sqlite


def finish(reader: Iterator[int]) -> int:
    """Read to the end; every byte is compared with its source on the way."""
    at = 0
    for at in reader:  # noqa: B007 - where it ended
        pass
    return at


def test_who_has_begun_reads_on_for_the_grace_and_is_then_refused(
    world: World,
    far: Store,  # noqa: F811
) -> None:
    early, late = reader_of(world, far, OLD), reader_of(world, far, OLD)
    assert next(early)
    assert next(late)
    withdraw(world, FIRST)
    assert read_version(far, FIRST) is None
    age(far)
    collect(world)
    assert finish(early) == len(OLD)

    age(far)
    found = collect(world)
    assert found is not None
    assert found.deleted > 0

    # Never other bytes, and never fewer without a word.
    with pytest.raises(ObjectMissing):
        finish(late)
    assert_invariants(world, {FIRST: {"os": OLD}, SECOND: {"os": NEW}}, healthy=["far"])


def test_those_who_read_while_it_goes_get_its_bytes_or_are_refused(
    world: World,
    far: Store,  # noqa: F811
) -> None:
    whole, refused, wrong = [0] * READERS, threading.Semaphore(0), list[BaseException]()

    def read(number: int) -> None:
        try:
            while finish(reader_of(world, far, OLD)) == len(OLD):
                whole[number] += 1
        except ObjectMissing:
            refused.release()
        except BaseException as error:  # noqa: BLE001 - told below
            wrong.append(error)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for one in readers:
        one.start()
    wait_until(lambda: all(whole), "a whole reading by each")
    withdraw(world, FIRST)
    for _ in range(2):
        age(far)
        collect(world)
    for one in readers:
        one.join()
    assert not wrong
    assert all(refused.acquire(blocking=False) for _ in readers)
    assert_invariants(world, {FIRST: {"os": OLD}, SECOND: {"os": NEW}}, healthy=["far"])
