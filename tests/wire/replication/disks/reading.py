"""Versions that are replicated for a test, and readers that check what they are sent."""

import os
import struct
import uuid
from collections.abc import Iterable
from dataclasses import replace

import blake3
from stoa.authz.v1 import sharing_grant_pb2 as grants
from stoa.authz.v1 import sharing_service_pb2
from stoa.replication.v1 import image_disk_service_pb2 as pb
from stoa.type.v1 import storage_pb2

MIB = 1 << 20
LEAF = 65_536
SEGMENT = 4 * MIB
OS = storage_pb2.DiskSelector(os=True)


def publish(service, name: str, disks: dict[str, bytes], regions: dict[str, int]) -> str:
    """Replicate a version made of some bytes; answer its uid."""
    world = service.world
    uid = uuid.uuid4().hex
    sources = {disk: world.upload(f"{uid}-{disk}", data) for disk, data in disks.items()}
    desired = replace(world.desired(sources, regions, uid=uid), version=name)
    record = world.ensure(desired)
    with world.working():
        world.wait_end(record.id)
    return uid


def request(name: str, location: str = "home", disk=OS, **more) -> pb.ReadDiskRequest:
    return pb.ReadDiskRequest(name=name, location=location, disk=disk, **more)


def read(disks, asked: pb.ReadDiskRequest) -> bytes:
    """Read ranges, and check that the stream has no gap and keeps to its bounds."""
    stream = iter(disks.ReadDisk(asked))
    start = next(stream).start
    size = start.layout.size_bytes
    ranges = [
        (one.offset_bytes, one.length_bytes or size - one.offset_bytes) for one in asked.ranges
    ]
    found = bytearray()
    expected = iter([(o, n) for o, n in ranges or [(0, size)] if n])
    at, left = next(expected, (0, 0))
    for message in stream:
        if message.WhichOneof("message") != "piece":
            continue
        piece = message.piece
        if not left:
            at, left = next(expected)
        assert piece.offset_bytes == at
        data = piece.data or bytes(piece.zero_bytes)
        assert 0 < len(piece.data) <= MIB or piece.zero_bytes > 0
        found += data
        at += len(data)
        left -= len(data)
        assert left >= 0
    assert left == 0
    assert len(found) == start.total_bytes
    return bytes(found)


def derived(context: str, data: bytes) -> bytes:
    return blake3.blake3(data, derive_key_context=context).digest()


def leaves_of(data: bytes) -> bytes:
    """The leaf digests of a segment, computed as DiskLayout says."""
    found = b""
    for at in range(0, len(data), LEAF):
        leaf = data[at : at + LEAF]
        found += blake3.blake3(leaf).digest() if any(leaf) else bytes(32)
    return found


def segment_digest(length: int, leaves: bytes) -> bytes:
    head = struct.pack("<II", length, len(leaves) // 32)
    return derived("stoa.dev content v1 segment", head + leaves)


def root_digest(header: bytes, segments: list[bytes]) -> bytes:
    body = header
    for index, digest in enumerate(segments):
        if any(digest):
            body += struct.pack("<I", index) + digest
    return derived("stoa.dev content v1 image", body)


def objects_of(service, location: str, slot: str, data: bytes) -> list[str]:
    """The files in a slot that hold exactly these segments, the first segment first."""
    root = f"{service.world.root}/{location}/{slot[1:]}/objects"
    files = [os.path.join(folder, one) for folder, _, names in os.walk(root) for one in names]
    found = []
    for at in range(0, len(data), SEGMENT):
        segment = data[at : at + SEGMENT]
        found += [path for path in files if _holds(path, segment)]
    return found


def _holds(path: str, data: bytes) -> bool:
    with open(path, "rb") as file:
        return os.path.getsize(path) == len(data) and file.read() == data


def corrupt(path: str, offset: int) -> None:
    """Change one byte of a stored object."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


class Sharing:
    """A gallery that is shared as the catalog shares it."""

    def __init__(self, people, gallery: str) -> None:
        self._service = people.installation.service()
        self._gallery = gallery
        self._uid = uuid.uuid4().hex
        self._sequence = 0
        self.shared_id = f"shared-{uuid.uuid4()}"
        self.public_name = f"public-{uuid.uuid4()}"

    def apply(
        self,
        operation: grants.SharingOperation.ValueType | None = None,
        subscriptions: Iterable[str] = (),
        *,
        community: bool = False,
    ) -> None:
        self._sequence += 1
        mode = grants.SHARING_MODE_COMMUNITY if community else grants.SHARING_MODE_GROUPS
        change = None
        if operation is not None:
            change = grants.SharingChange(operation=operation, subscriptions=subscriptions)
        self._service.sharing.ApplySharing(
            sharing_service_pb2.ApplySharingRequest(
                gallery=self._gallery,
                gallery_uid=self._uid,
                sequence=self._sequence,
                profile=grants.SharingProfile(
                    mode=mode,
                    shared_id=self.shared_id,
                    public_name=self.public_name if community else "",
                ),
                change=change,
                request_id=str(uuid.uuid4()),
            )
        )
