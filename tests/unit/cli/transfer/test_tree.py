import os

from stoa.replication.v1.image_disk_pb2 import DiskLayout

from cli.transfer.tree import ZERO_DIGEST, root_digest, segment_digest, segment_span
from services.replication.content import digests as service

SIZE = 3 * service.SEGMENT_BYTES + 100_000


def disk() -> bytearray:
    content = bytearray(SIZE)
    content[70_000:200_000] = os.urandom(130_000)
    content[-10:] = b"0123456789"
    return content


def layout() -> DiskLayout:
    header = service._IMAGE_PREFIX.pack(1, 0, 512, service.LEAF_BYTES, service.SEGMENT_BYTES, SIZE)
    return DiskLayout(
        header=header,
        size_bytes=SIZE,
        leaf_bytes=service.LEAF_BYTES,
        segment_bytes=service.SEGMENT_BYTES,
    )


def test_it_is_the_tree_that_the_service_computes() -> None:
    content = disk()
    hasher = service.RootHasher(1, 512, SIZE)
    mine = []
    for index in range(service.segment_count(SIZE)):
        begin, end = segment_span(layout(), index)
        data = content[begin:end]
        mine.append(segment_digest(data, service.LEAF_BYTES))
        leaves = b"".join(
            service.leaf_digest(leaf) if any(leaf) else service.ZERO_LEAF
            for leaf in (
                data[at : at + service.LEAF_BYTES] for at in range(0, len(data), service.LEAF_BYTES)
            )
        )
        if any(leaves):
            assert mine[-1] == service.segment_digest(len(data), leaves)
            hasher.add(index, mine[-1])
    assert [digest == ZERO_DIGEST for digest in mine] == [False, True, True, False]
    assert root_digest(layout(), mine) == hasher.root()


def test_a_changed_byte_changes_the_root() -> None:
    content = disk()

    def root() -> bytes:
        spans = [segment_span(layout(), index) for index in range(4)]
        digests = [segment_digest(content[a:b], service.LEAF_BYTES) for a, b in spans]
        return root_digest(layout(), digests)

    before = root()
    content[2 * service.SEGMENT_BYTES] = 1
    assert root() != before
