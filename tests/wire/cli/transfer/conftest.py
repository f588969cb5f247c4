from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from stoa.replication.v1 import blob_service_pb2_grpc as blobs
from stoa.replication.v1 import image_disk_service_pb2_grpc as disks

from cli.transfer import retrying
from tests.wire.cli.transfer.serving import Server


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_FIRST", 0.001)


@pytest.fixture
def server() -> Server:
    return Server()  # type: ignore[abstract]  # the other methods are not called


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    grpc_server = grpc.server(ThreadPoolExecutor(8))
    blobs.add_BlobServiceServicer_to_server(server, grpc_server)
    disks.add_ImageDiskServiceServicer_to_server(server, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as found:
        yield found
    grpc_server.stop(None).wait()
