import pytest

from services.replication.content.errors import InvalidEncoding
from services.replication.content.refs import (
    BlobRef,
    VersionRef,
    decode_blob_ref,
    decode_version_ref,
)

REF = VersionRef("v1", "t1", 3, "r1", 2, {"os": b"\x01" * 32, "0": b"\x02" * 32})


def test_refs_come_back_as_they_were() -> None:
    blob = BlobRef("b1", "t1", b"\x03" * 32, 10)
    assert decode_version_ref(REF.encode()) == REF
    assert decode_blob_ref(blob.encode()) == blob


def test_the_golden_encoding_does_not_move() -> None:
    assert REF.encode().decode() == (
        '{"disks":{"0":"' + "02" * 32 + '","os":"' + "01" * 32 + '"},"fence":2,"format":1,'
        '"generation":3,"replication":"r1","tenant":"t1","version":"v1"}\n'
    )


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"format":2}', b'{"format":1}', b'{"format":1,"disks":[]}']
)
def test_what_is_not_a_ref_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        decode_version_ref(data)
    with pytest.raises(InvalidEncoding):
        decode_blob_ref(data)
