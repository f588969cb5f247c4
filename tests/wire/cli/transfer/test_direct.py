"""Pulls straight from a store, which a real HTTP server is, and around what it does not deliver."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from stoa.replication.v1 import image_disk_service_pb2_grpc as disks

from cli.transfer.pull import pull
from tests.wire.cli.transfer.serving import LEAF, MIB, SEGMENT, Server, disk, quiet, source


class Store(ThreadingHTTPServer):
    """Delivers ranges of objects; says which it was asked for."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.asked: list[int] = []
        self.missing: set[int] = set()
        self.damaged: set[int] = set()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        index = int(self.path.rpartition("/")[2])
        self.server.asked.append(index)
        data, _ = self.server.server.packed(index)
        begin, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
        part = bytearray(data[int(begin) : int(end) + 1])
        if index in self.server.damaged:
            part[-1] ^= 1
        self.send_response(404 if index in self.server.missing else 206)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    server.content = disk()
    with Store(server) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        server.store_url = f"http://127.0.0.1:{found.server_port}"
        yield found
        found.shutdown()
        thread.join()


def pulled(channel: grpc.Channel, path: Path, **more: Any) -> bytes:
    found = pull(disks.ImageDiskServiceStub(channel), source(), path, quiet(), **more)
    assert found.verified
    return path.read_bytes()


def test_a_disk_comes_from_the_store_alone(
    tmp_path: Path, server: Server, store: Store, channel: grpc.Channel
) -> None:
    assert pulled(channel, tmp_path / "os.img") == server.content
    assert server.ranges == []
    assert set(store.asked) == {0, 2, 3, 4}


def test_what_is_bad_or_gone_in_the_store_comes_from_the_service(
    tmp_path: Path, server: Server, store: Store, channel: grpc.Channel
) -> None:
    store.damaged, store.missing = {2}, {4}
    assert pulled(channel, tmp_path / "os.img") == server.content
    assert sorted(server.ranges) == [
        (2 * SEGMENT, SEGMENT),
        (4 * SEGMENT, len(server.content) - 4 * SEGMENT),
    ]


def test_a_store_that_is_out_of_reach_from_here_is_left_alone(
    tmp_path: Path, server: Server, store: Store, channel: grpc.Channel
) -> None:
    server.store_url = "http://127.0.0.1:1"
    assert pulled(channel, tmp_path / "os.img") == server.content
    assert store.asked == []
    assert sum(length for _, length in server.ranges) == len(server.content) - SEGMENT


def test_a_url_that_is_no_address_of_a_web_server_is_not_opened(
    tmp_path: Path, server: Server, store: Store, channel: grpc.Channel
) -> None:
    for index in range(5):
        (tmp_path / str(index)).write_bytes(server.packed(index)[0])
    server.store_url = tmp_path.as_uri()
    assert pulled(channel, tmp_path / "os.img") == server.content
    assert sum(length for _, length in server.ranges) == len(server.content) - SEGMENT


def test_leaves_that_a_seed_has_are_not_fetched_from_the_store(
    tmp_path: Path, server: Server, store: Store, channel: grpc.Channel
) -> None:
    older = bytearray(server.content)
    older[9 * MIB] ^= 1
    older[9 * MIB + 3 * LEAF] ^= 1
    (tmp_path / "older").write_bytes(older)
    found = pulled(channel, tmp_path / "os.img", seeds=[tmp_path / "older"])
    assert found == server.content
    assert store.asked == [2, 2]
    assert server.ranges == []
