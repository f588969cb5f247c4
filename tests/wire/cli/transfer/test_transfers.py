"""Uploads and pulls against a server that keeps a disk in memory and breaks off when told to."""

import os
from pathlib import Path

import grpc
import pytest
from blake3 import blake3
from stoa.replication.v1 import blob_pb2
from stoa.replication.v1 import blob_service_pb2_grpc as blobs
from stoa.replication.v1 import image_disk_service_pb2_grpc as disks

from cli.errors import CliError
from cli.transfer import retrying
from cli.transfer.opening import open_disk
from cli.transfer.progress import Lines
from cli.transfer.pull import pull
from cli.transfer.sparse import extents
from cli.transfer.upload import upload
from tests.wire.cli.transfer.serving import LEAF, MIB, SEGMENT, Server, disk, quiet, source


def sparse_file(path: Path) -> bytes:
    with path.open("wb") as stream:
        stream.truncate(9 * MIB)
        stream.seek(3 * MIB)
        stream.write(os.urandom(2 * MIB))
        stream.seek(8 * MIB)
        stream.write(b"end")
    return path.read_bytes()


def test_an_upload_sends_the_data_and_tells_the_digest(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    content = sparse_file(tmp_path / "disk")
    stub = blobs.BlobServiceStub(channel)
    done = upload(stub, server.blob(), tmp_path / "disk", quiet())
    assert bytes(server.stored) == content
    assert server.data_sent == 2 * MIB + LEAF
    assert done.digests == {"blake3": blake3(content).hexdigest()}
    assert done.blob.state == blob_pb2.Blob.STATE_COMMITTED


def test_a_broken_upload_goes_on_where_the_service_is(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    content = sparse_file(tmp_path / "disk")
    # The start, the first hole and a piece arrive.
    server.limits = [3, None]
    upload(blobs.BlobServiceStub(channel), server.blob(), tmp_path / "disk", quiet())
    assert server.uploads == [0, 4 * MIB]
    assert bytes(server.stored) == content


def test_an_upload_whose_offset_is_stale_asks_again(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    content = sparse_file(tmp_path / "disk")
    stale = server.blob()
    server.stored += content[: 2 * MIB]
    upload(blobs.BlobServiceStub(channel), stale, tmp_path / "disk", quiet())
    assert server.uploads == [0, 2 * MIB]
    assert bytes(server.stored) == content


def test_a_blob_that_holds_something_else_is_refused(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    sparse_file(tmp_path / "disk")
    server.stored += b"x" * MIB
    with pytest.raises(grpc.RpcError, match="CONTENT_DIGEST_MISMATCH"):
        upload(blobs.BlobServiceStub(channel), server.blob(), tmp_path / "disk", quiet())


def test_a_pull_writes_a_verified_sparse_file(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    target = tmp_path / "new" / "os.img"
    found = pull(disks.ImageDiskServiceStub(channel), source(), target, quiet(), sha256=True)
    assert target.read_bytes() == server.content
    with target.open("rb") as file:
        stored = list(extents(file.fileno(), len(server.content)))
    assert stored == [(MIB, 3 * MIB), (8 * MIB, 14 * MIB), (17 * MIB, 17 * MIB + LEAF)]
    assert found.verified
    assert found.digests["blake3"] == blake3(server.content).hexdigest()
    assert sorted(server.ranges) == [(0, SEGMENT), (2 * SEGMENT, 11 * MIB - MIB // 2)]


def test_a_broken_pull_goes_on_behind_the_last_message(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    server.limits = [10, None]
    stub = disks.ImageDiskServiceStub(channel)
    pull(stub, source(), tmp_path / "os.img", quiet(), streams=1)
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert [begin for begin, _ in server.ranges] == [0, 2 * SEGMENT, 14 * MIB]


def test_a_repeated_pull_keeps_what_is_verified(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    half = bytearray(server.content)
    half[3 * SEGMENT :] = bytes(len(half) - 3 * SEGMENT)
    (tmp_path / "os.img.part").write_bytes(half)
    pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert (tmp_path / "os.img").read_bytes() == server.content
    # What is zero there is right already.
    assert server.ranges == [(3 * SEGMENT, 2 * MIB), (17 * MIB, LEAF)]


def test_bytes_damaged_on_their_way_never_get_the_name_of_the_file(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    server.damage = 8 * MIB
    with pytest.raises(CliError, match="damaged"):
        pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert not (tmp_path / "os.img").exists()


def test_a_pull_waits_its_turn_at_a_shallow_version(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content, server.crowd = disk(), 5
    stub = disks.ImageDiskServiceStub(channel)
    assert open_disk(stub, source()).digests is not None
    assert server.crowd == 0
    # Refused more often in the middle than a pull tries again what fails.
    server.crowded_reads = 12
    pull(stub, source(), tmp_path / "os.img", quiet(), streams=2)
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert server.crowded_reads == 0


def test_a_crowd_that_does_not_go_away_ends_a_pull_before_it_begins(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content, server.crowd = disk(), 1000
    with pytest.raises(grpc.RpcError) as refused:
        pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert retrying.is_crowded(refused.value)
    assert 1000 - server.crowd == retrying.ATTEMPTS


def test_what_nobody_has_hashed_is_pulled_by_one_stream_and_said_to_be_unverified(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content, server.verified = disk(), False
    found = pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert not found.verified
    assert found.digests["blake3"] == blake3(server.content).hexdigest()
    assert server.ranges == sorted(server.ranges)


def test_what_a_seed_has_is_not_moved(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    older = bytearray(server.content)
    # A leaf is another one, another one lies elsewhere, and one became zero.
    older[9 * MIB] ^= 1
    older[18 * MIB : 18 * MIB + LEAF] = older[10 * MIB : 10 * MIB + LEAF]
    older[10 * MIB : 10 * MIB + LEAF] = os.urandom(LEAF)
    older[5 * MIB : 5 * MIB + LEAF] = os.urandom(LEAF)
    (tmp_path / "older").write_bytes(older)
    told: list[str] = []
    found = pull(
        disks.ImageDiskServiceStub(channel),
        source(),
        tmp_path / "os.img",
        Lines(told.append),
        seeds=[tmp_path / "older"],
    )
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert server.ranges == [(9 * MIB, LEAF)]
    assert found.seeded == 8 * MIB
    assert "8.0 MiB from seeds" in told[-1]
    with (tmp_path / "os.img").open("rb") as file:
        assert list(extents(file.fileno(), 8 * MIB)) == [(MIB, 3 * MIB)]


def test_leaves_that_an_interrupted_pull_wrote_are_kept(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    begun = bytearray(len(server.content))
    begun[8 * MIB : 9 * MIB + 1] = server.content[8 * MIB : 9 * MIB + 1]
    # Zero in the disk, in a segment that is not.
    begun[3 * MIB] = 1
    (tmp_path / "os.img.part").write_bytes(begun)
    found = pull(disks.ImageDiskServiceStub(channel), source(), tmp_path / "os.img", quiet())
    assert (tmp_path / "os.img").read_bytes() == server.content
    assert found.seeded == 0
    assert server.ranges == [(MIB, 2 * MIB), (9 * MIB, 5 * MIB), (17 * MIB, LEAF)]


def test_a_seed_that_cannot_be_read_is_no_reason_to_move_everything(
    tmp_path: Path, server: Server, channel: grpc.Channel
) -> None:
    server.content = disk()
    stub = disks.ImageDiskServiceStub(channel)
    with pytest.raises(FileNotFoundError):
        pull(stub, source(), tmp_path / "os.img", quiet(), seeds=[tmp_path / "none"])
    assert server.ranges == []
