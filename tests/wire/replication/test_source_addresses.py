"""Threat T4: who copies the bytes opens stores that the operator named, and nothing else."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
import obstore.store
import pytest
from stoa.replication.v1 import region_pb2, region_service_pb2

from services.replication.stores import bucket
from tests.addresses import ADDRESSES
from tests.wire.replication.service import Service, World, refused
from tests.wire.replication.test_sources import inspect, store_file

INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
CONNECTING: Final = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
# The lists of those who watch now.
_watching: Final[list[list[str]]] = []


def _hook(event: str, _: Any) -> None:
    if event in CONNECTING:
        for watched in _watching:
            watched.append(event)


# It cannot be taken away again.
sys.addaudithook(_hook)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The buckets that were opened: their client connects without telling Python."""
    found: list[str] = []

    def from_url(url: str, **settings: Any) -> Any:
        found.append(url)
        return obstore.store.from_url(url, **settings)

    monkeypatch.setattr(bucket, "from_url", from_url)
    return found


@contextmanager
def watching() -> Iterator[list[str]]:
    """What Python resolves and connects to, in this process, which is the service's."""
    found: list[str] = []
    _watching.append(found)
    try:
        yield found
    finally:
        _watching.remove(found)


def test_t4_what_is_asked_of_sources_opens_no_connection(
    service: Service, world: World, opened: list[str]
) -> None:
    (service.folder / "vhds").mkdir(exist_ok=True)
    world.region("home")
    with watching() as connections:
        for address in ADDRESSES:
            named = store_file("os.vhd", address, etag="e")
            sources = [named, store_file(address, etag="e")] if "//" in address else [named]
            for source in sources:
                with refused(INVALID):
                    inspect(world, source)
                with refused(INVALID):
                    world.ensure(world.desired({"os": source}, {"home": 1}))
            # As a path it is a file of the store, which is not there.
            assert not inspect(world, store_file(address.replace("/", "."))).exists
    assert connections == []
    assert opened == []


def test_t4_a_region_is_made_at_no_such_address(world: World, opened: list[str]) -> None:
    with watching() as connections:
        for address in ADDRESSES:
            if address.startswith(("s3:", "az:", "file:")):
                continue
            slots = [region_pb2.ReplicaSlot(id="a", store_url=address)]
            request = region_service_pb2.CreateRegionRequest(
                region_id=world.location("far"), region=region_pb2.Region(slots=slots)
            )
            with refused(INVALID) as refusal:
                world.operator.regions.CreateRegion(request)
            assert set(refusal.fields) == {"region.slots[0].store_url"}
    assert connections == []
    assert opened == []


def test_the_watch_sees_names_that_are_resolved() -> None:
    with watching() as connections, pytest.raises(OSError, match=r".+"):
        socket.getaddrinfo("no such name", 80)
    assert connections == ["socket.getaddrinfo"]
