import pytest

from services.replication.content.keys import (
    blob_ref_key,
    journal_key,
    manifest_key,
    object_key,
    split_key,
    version_ref_key,
)


def test_keys_follow_the_layout() -> None:
    digest = bytes.fromhex("abcd" + "00" * 30)
    assert object_key("t1", digest) == f"objects/t1/ab/cd/abcd{'00' * 30}"
    assert manifest_key("t1", digest) == f"manifests/t1/abcd{'00' * 30}"
    assert version_ref_key("0f") == "refs/0f"
    assert blob_ref_key("0f") == "blobs/0f"
    assert journal_key("r1-s1", 17) == "journals/r1-s1/00000011"


@pytest.mark.parametrize(
    "part", ["", ".", "..", "a/b", "A", "-a", ".a", "a b", "a\0", "é", "a" * 129, "a\n"]
)
def test_a_part_that_could_lead_elsewhere_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="part of a store key"):
        version_ref_key(part)


def test_every_part_of_a_key_is_checked() -> None:
    assert split_key("a/b/c") == ("a", "b", "c")
    with pytest.raises(ValueError, match="part of a store key"):
        split_key("objects/../refs/x")
