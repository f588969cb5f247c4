import uuid

import pytest

from services.kernel.ids import is_request_id, is_uid, new_uid


def test_a_uid_is_a_random_uuid_in_hexadecimal():
    made = {new_uid() for _ in range(100)}
    assert len(made) == 100
    assert all(is_uid(uid) and uuid.UUID(uid).version == 4 for uid in made)


DASHED = "4272ec76-8177-4357-912e-d70233f590d6"


@pytest.mark.parametrize("text", ["", "A" * 32, "a" * 31, "a" * 33, DASHED])
def test_another_text_is_no_uid(text):
    assert not is_uid(text)


def test_a_request_id_is_a_uuid_other_than_zero():
    assert is_request_id(str(uuid.uuid4()))
    assert is_request_id(str(uuid.uuid4()).upper())
    for text in ("", "1", uuid.uuid4().hex, str(uuid.UUID(int=0)), f"{uuid.uuid4()}\n"):
        assert not is_request_id(text)
