import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import InvalidArgument
from services.policy.consistency import ConsistencyToken, LogPosition

TOKENS = st.builds(
    ConsistencyToken,
    st.from_regex(r"[!-9;-~]{1,64}", fullmatch=True),
    st.builds(LogPosition, st.integers(1, 10**18 - 1), st.integers(0, 10**18 - 1)),
)


@given(TOKENS)
def test_a_token_is_read_as_it_was_written_and_fits_into_metadata(token):
    text = token.encode()
    assert ConsistencyToken.decode(text) == token
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,256}", text)


@given(TOKENS, st.data())
def test_no_other_text_stands_for_a_position(token, data):
    text = token.encode()
    place = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.sampled_from("AZaz09_-=+/ é"))
    other = text[:place] + char + text[place + 1 :]
    with contextlib.suppress(InvalidArgument):
        assert ConsistencyToken.decode(other).encode() == other


@pytest.mark.parametrize(
    "token",
    [
        ConsistencyToken("", LogPosition(1, 1)),
        ConsistencyToken("a:b", LogPosition(1, 1)),
        ConsistencyToken("x", LogPosition(0, 1)),
        ConsistencyToken("x", LogPosition(1, -1)),
        ConsistencyToken("x" * 65, LogPosition(1, 1)),
    ],
)
def test_what_cannot_be_read_is_not_written(token):
    with pytest.raises(ValueError, match="no token"):
        token.encode()


def test_positions_are_ordered_by_epoch_first():
    assert LogPosition(1, 9) < LogPosition(2, 1) < LogPosition(2, 2)
