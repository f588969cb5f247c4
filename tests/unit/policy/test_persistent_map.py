from hypothesis import given
from hypothesis import strategies as st

from services.policy.persistent_map import PersistentMap

KEYS = st.integers(0, 300).map(str)


@given(st.lists(st.lists(st.tuples(st.booleans(), KEYS, st.integers())), max_size=5))
def test_each_edition_is_the_dict_it_stands_for(editions):
    current: PersistentMap[int] = PersistentMap()
    expected: dict[str, int] = {}
    history = []
    for edition in editions:
        editor = current.edit()
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
        assert all(edition.get(key) == value for key, value in content.items())


def test_one_change_among_many_copies_one_bucket():
    editor = PersistentMap[int]().edit()
    for number in range(100_000):
        editor.set(str(number), number)
    before = editor.freeze()
    change = before.edit()
    change.set("17", -17)
    after = change.freeze()
    copied = [new for new, old in zip(after.buckets, before.buckets, strict=True) if new is not old]
    assert len(copied) == 1
    assert len(copied[0]) < 4_000
    assert (before.get("17"), after.get("17")) == (17, -17)


def test_an_edit_that_writes_nothing_answers_its_base():
    base: PersistentMap[int] = PersistentMap()
    editor = base.edit()
    assert editor.pop("absent") is None
    assert editor.freeze() is base


@given(st.sets(KEYS), st.frozensets(KEYS))
def test_the_values_of_any_of_some_keys(held, wanted):
    editor = PersistentMap[str]().edit()
    for key in held:
        editor.set(key, key)
    assert sorted(editor.freeze().of_any(wanted)) == sorted(held & wanted)
