import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.toml import dump

# TOML has no surrogates, and none are in a text that was read from a file.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALAR = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1)
TABLE = st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), SCALAR | st.lists(TEXT))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), TABLE))
def test_what_is_written_is_read_back(document: dict[str, dict[str, object]]) -> None:
    assert tomllib.loads(dump(document)) == document


def test_dotted_names_are_tables_in_tables() -> None:
    text = dump({"current": "a", "contexts.a": {"data": "/d"}})
    assert tomllib.loads(text) == {"current": "a", "contexts": {"a": {"data": "/d"}}}


def test_mappings_and_odd_keys_are_written_inline() -> None:
    text = dump({"a": {"pairs": [{"x y": 1}, {}]}})
    assert tomllib.loads(text) == {"a": {"pairs": [{"x y": 1}, {}]}}


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError):
        dump({"a": {"b": None}})
