"""Uploads outlive kill -9 of the server: what was told to be committed is there."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import blake3
import grpc
import pytest
from stoa.replication.v1 import blob_pb2
from stoa.replication.v1 import blob_service_pb2 as pb

from cli.installation.identity import make_token
from services.kernel.rpc.registry import Audience
from tests.integration.replication.world import some_bytes
from tests.wire.replication.disks.serving import DiskService, Stubs
from tests.wire.replication.disks.uploading import MIB, chunks, start, whole

DATA = some_bytes(24 * MIB)


@pytest.fixture
def data(authz, tmp_path):
    """Rows with a region, and no server any more."""
    ports = authz.ports[Audience.INTERNAL], authz._feed.port
    service = DiskService(authz.layout, tmp_path, authz=ports)
    service.world.add_region("home")
    service.close()
    return tmp_path


@contextmanager
def server(authz, data) -> Iterator[tuple[Stubs, subprocess.Popen[str]]]:
    ports = str(authz.ports[Audience.INTERNAL]), str(authz._feed.port)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.wire.replication.disks.serve"),
            *(str(authz.layout.data), str(data), *ports),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    token = make_token(authz.layout, subject="owner", tenant="default")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Stubs(channel, token), process
    process.kill()
    process.wait()
    process.stdout.close()


def test_an_upload_goes_on_after_each_kill_and_ends_with_the_right_bytes(authz, people, data):
    group = f"{people.subscription()}/resourceGroups/rg"
    committed = 0
    name = f"{group}/blobs/disk"
    for kill_after in (6, 10):
        with server(authz, data) as (stubs, process):
            if not committed:
                blob = blob_pb2.Blob(location="home")
                stubs.blobs.CreateBlob(
                    pb.CreateBlobRequest(parent=group, blob_id="disk", blob=blob)
                )
            found = stubs.blobs.GetBlob(pb.GetBlobRequest(name=name))
            # Nothing that was told to be durable is lost.
            assert found.committed_bytes >= committed
            reached = _upload_until(stubs, process, name, found.committed_bytes, kill_after)
            assert reached >= committed
            committed = reached
    assert committed > 0
    with server(authz, data) as (stubs, _):
        found = stubs.blobs.GetBlob(pb.GetBlobRequest(name=name))
        assert found.committed_bytes >= committed
        digest = blake3.blake3(DATA).digest()
        done = stubs.blobs.UploadBlob(
            whole(name, DATA, found.committed_bytes, blake3_digest=digest)
        ).blob
        assert done.state == blob_pb2.Blob.STATE_COMMITTED
        assert done.size_bytes == len(DATA)


def _upload_until(stubs, process, name: str, offset: int, count: int) -> int:
    """Send `count` pieces, end that stream, go on with another, kill; answer what was told."""

    def part():
        yield start(name, offset)
        yield from chunks(DATA[: offset + count * MIB], offset)

    told: int = stubs.blobs.UploadBlob(part()).committed_bytes
    sent, hold = threading.Event(), threading.Event()

    def rest():
        yield start(name, told)
        yield from chunks(DATA[: told + 2 * MIB], told)
        sent.set()
        hold.wait(30)

    def upload():
        with pytest.raises(grpc.RpcError):
            stubs.blobs.UploadBlob(rest())

    thread = threading.Thread(target=upload)
    thread.start()
    assert sent.wait(30)
    process.kill()
    hold.set()
    thread.join()
    return told
