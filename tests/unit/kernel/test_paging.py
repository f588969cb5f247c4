import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import InvalidArgument
from services.kernel.paging import PageBinding, PageTokens, page_size

TOKENS = PageTokens(b"0123456789abcdef")
BINDING = PageBinding("List", "subscriptions/S", "caller", "a = 1", "name", "deleted")

values = st.lists(st.integers() | st.text(), max_size=4)


@given(values)
def test_a_token_answers_the_values_that_it_was_made_of(given_values):
    token = TOKENS.encode(given_values, BINDING)
    assert TOKENS.decode(token, BINDING) == tuple(given_values)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(values, st.data())
def test_a_changed_token_is_refused(given_values, data):
    token = TOKENS.encode(given_values, BINDING)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    changed = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    with pytest.raises(InvalidArgument):
        TOKENS.decode(changed, BINDING)


@given(st.text(min_size=1))
def test_no_other_text_is_a_token(text):
    with pytest.raises(InvalidArgument) as refused:
        TOKENS.decode(text, BINDING)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"
    assert [violation.field for violation in refused.value.violations] == ["page_token"]


@pytest.mark.parametrize("field", ["method", "parent", "caller", "filter", "order_by", "extra"])
def test_a_token_belongs_to_one_list_of_one_caller(field):
    token = TOKENS.encode([1], BINDING)
    with pytest.raises(InvalidArgument):
        TOKENS.decode(token, replace(BINDING, **{field: "another"}))


def test_the_parent_may_be_spelled_differently_on_the_next_page():
    token = TOKENS.encode([1], BINDING)
    assert TOKENS.decode(token, replace(BINDING, parent="SUBSCRIPTIONS/s")) == (1,)


def test_parts_of_a_binding_do_not_run_into_each_other():
    token = TOKENS.encode([1], replace(BINDING, filter="ab", order_by="c"))
    with pytest.raises(InvalidArgument):
        TOKENS.decode(token, replace(BINDING, filter="a", order_by="bc"))


def test_no_token_begins_the_list():
    assert TOKENS.decode("", BINDING) is None


def test_a_replaced_secret_still_accepts_the_tokens_of_the_former():
    old = TOKENS.encode([1], BINDING)
    rotated = PageTokens(b"fedcba9876543210", b"0123456789abcdef")
    assert rotated.decode(old, BINDING) == (1,)
    with pytest.raises(InvalidArgument):
        TOKENS.decode(rotated.encode([1], BINDING), BINDING)


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        PageTokens(b"short")


@pytest.mark.parametrize(("requested", "size"), [(0, 50), (1, 1), (1000, 1000), (10**9, 1000)])
def test_a_page_size_is_defaulted_and_capped(requested, size):
    assert page_size(requested) == size


def test_a_negative_page_size_is_refused():
    with pytest.raises(InvalidArgument) as refused:
        page_size(-1)
    assert [violation.field for violation in refused.value.violations] == ["page_size"]
