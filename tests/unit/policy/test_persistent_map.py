from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.policy.persistent_map import Buckets, MapEditor

KEYS = st.integers(0, 300).map(str)


@given(st.lists(st.lists(st.tuples(st.booleans(), KEYS, st.integers())), max_size=5))
def test_each_edition_is_the_dict_it_stands_for(editions):
    current: Mapping[str, int] = {}
    expected: dict[str, int] = {}
    history = []
    for edition in editions:
        editor = MapEditor(current)
        for is_set, key, value in edition:
            if is_set:
                editor.set(key, value)
                expected[key] = value
            else:
                assert editor.pop(key) == expected.pop(key, None)
        current = editor.freeze()
        history.append((current, dict(expected)))
    for edition, content in history:
        assert dict(edition.items()) == content
        assert len(edition) == len(content)
        assert all(edition.get(key) == edition[key] == content[key] for key in content)
        assert edition.get("absent", 7) == 7


def test_one_change_among_many_copies_one_bucket():
    editor = MapEditor[int]({})
    for number in range(100_000):
        editor.set(str(number), number)
    before = editor.freeze()
    change = MapEditor(before)
    change.set("17", -17)
    after = change.freeze()
    assert isinstance(before, Buckets)
    assert isinstance(after, Buckets)
    copied = [new for new, old in zip(after.parts, before.parts, strict=True) if new is not old]
    assert len(copied) == 1
    assert len(copied[0]) < 4_000
    assert (before.get("17"), after.get("17")) == (17, -17)


def test_an_edit_that_writes_nothing_answers_its_base():
    base: Mapping[str, int] = {}
    editor = MapEditor(base)
    assert editor.pop("absent") is None
    assert editor.freeze() is base


def test_only_what_an_editor_made_can_be_edited():
    with pytest.raises(TypeError):
        MapEditor(MappingProxyType({}))
