import pytest

from services.kernel.errors import Aborted
from services.kernel.etag import etag_of, require_match


def test_an_etag_is_a_quoted_string_of_the_revision():
    assert etag_of(7) == '"7"'
    assert etag_of(7) != etag_of(8)


def test_a_resource_created_anew_never_has_the_etag_of_its_predecessor():
    assert etag_of(1, "a" * 32) != etag_of(1, "b" * 32)


@pytest.mark.parametrize("sent", ["", "*", '"7"'])
def test_the_current_etag_and_none_fit(sent):
    require_match(sent, 7)


@pytest.mark.parametrize("sent", ['"6"', "7", 'W/"7"'])
def test_another_etag_is_aborted_with_the_current_one(sent):
    with pytest.raises(Aborted) as refused:
        require_match(sent, 7, resource="things/t")
    assert refused.value.reason == "ETAG_MISMATCH"
    assert refused.value.metadata == {"resource": "things/t", "etag": '"7"'}
