"""OpenDisk: segments and URLs from which a reader puts the disk together by itself."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from stoa.replication.v1 import image_disk_service_pb2 as pb
from stoa.type.v1 import storage_pb2

from services.replication.content.direct import SigningStore
from services.replication.stores.bucket import open_client
from services.replication.stores.local import LocalStore
from services.replication.stores.object_store import ObjectStore
from tests.integration.replication.world import some_bytes
from tests.wire.replication.disks.reading import (
    LEAF,
    MIB,
    SEGMENT,
    leaves_of,
    publish,
    segment_digest,
)
from tests.wire.replication.disks.uploading import refusal

DATA = some_bytes(SEGMENT + LEAF) + bytes(9 * SEGMENT) + some_bytes(SEGMENT + 5, seed=2)


class SigningDirectory(LocalStore):
    """A directory that hands out URLs as a bucket does."""

    root = Path()

    def sign(self, keys, *, seconds):
        assert seconds == 60
        return [(self.root / key).as_uri() for key in keys]


@pytest.fixture
def version(service, people, monkeypatch):
    """A version in a region whose second slot alone signs."""
    service.catch_up()
    group = f"{people.subscription()}/resourceGroups/rg"
    name = f"{group}/galleries/g/images/i/versions/1.0.0"
    service.catch_up()
    publish(service, name, {"os": DATA}, {"home": 2})
    plain = service.world.stores.open

    def opened(location, slot):
        if slot.id != "s2":
            return plain(location, slot)
        store = SigningDirectory(slot.address.url.removeprefix("file://"))
        store.root = Path(slot.address.url.removeprefix("file://"))
        return store

    monkeypatch.setattr(service.world.stores, "open", opened)
    return name


def fetch(url: str) -> bytes:
    return Path(urlsplit(url).path).read_bytes()


def unpacked(packed: bytes, segment) -> bytes:
    """The bytes of a segment, with the leaves that lie nowhere."""
    data = b""
    for at in range(0, len(segment.leaf_digests), 32):
        length = min(LEAF, segment.length_bytes - len(data))
        if any(segment.leaf_digests[at : at + 32]):
            data, packed = data + packed[:length], packed[length:]
        else:
            data += bytes(length)
    assert packed == b""
    return data


def test_a_reader_puts_a_disk_together_from_urls_alone(service, version):
    disks = service.user().disks
    disk = storage_pb2.DiskSelector(os=True)
    found, offset, calls = bytearray(), 0, 0
    while True:
        answer = disks.OpenDisk(
            pb.OpenDiskRequest(name=version, location="home", disk=disk, offset_bytes=offset)
        )
        calls += 1
        assert fetch(answer.manifest.url)[:8] == b"STOADISK"
        assert answer.manifest.length_bytes == len(fetch(answer.manifest.url))
        for segment in answer.segments:
            assert segment.offset_bytes == len(found)
            if not segment.digest:
                found += bytes(segment.length_bytes)
                continue
            assert segment_digest(segment.length_bytes, segment.leaf_digests) == segment.digest
            packed = b""
            for extent in segment.extents:
                one = answer.objects[extent.object_index]
                data = fetch(one.url)
                assert len(data) == one.length_bytes
                packed += data[extent.offset_bytes : extent.offset_bytes + extent.length_bytes]
            data = unpacked(packed, segment)
            assert leaves_of(data) == segment.leaf_digests
            found += data
        offset = answer.next_offset_bytes
        if not offset:
            break
    assert bytes(found) == DATA
    assert calls == 1


def test_a_part_is_widened_to_whole_segments(service, version):
    answer = service.user().disks.OpenDisk(
        pb.OpenDiskRequest(
            name=version,
            location="home",
            disk=storage_pb2.DiskSelector(os=True),
            offset_bytes=SEGMENT + 5,
            length_bytes=SEGMENT,
        )
    )
    spans = [(one.offset_bytes, one.length_bytes) for one in answer.segments]
    assert spans == [(SEGMENT, SEGMENT), (2 * SEGMENT, SEGMENT)]
    assert answer.next_offset_bytes == 0


def test_an_offset_behind_the_end_is_refused(service, version):
    asked = pb.OpenDiskRequest(
        name=version,
        location="home",
        disk=storage_pb2.DiskSelector(os=True),
        offset_bytes=100 * MIB,
    )
    code, info = refusal(service.user().disks.OpenDisk, asked)
    assert (code, info.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RANGE_BEYOND_END")


def test_buckets_sign_for_the_time_that_is_asked():
    store = object.__new__(ObjectStore)
    # Signing is arithmetic with the key: no bucket is asked.
    options = {
        "access_key_id": "key",
        "secret_access_key": "secret",
        "region": "us-east-1",
    }
    object.__setattr__(store, "_client", open_client("s3://bucket/prefix", options))
    assert isinstance(store, SigningStore)
    (url,) = store.sign(["objects/t/ab/cd/abcd"], seconds=60)
    parts = urlsplit(url)
    assert parts.path.endswith("/prefix/objects/t/ab/cd/abcd")
    query = parse_qs(parts.query)
    assert query["X-Amz-Expires"] == ["60"]
    assert query["X-Amz-Signature"]
