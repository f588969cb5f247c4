from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.field_mask import FieldTable, paths_of, populated, replaced, value_at
from services.kernel.violations import Violations


@dataclass(frozen=True)
class Size:
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Thing:
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    size: Size = Size()
    hidden: bool | None = None
    location: str = ""
    kind: str | None = None


TABLE = FieldTable(
    mutable=frozenset({"description", "tags", "size.low", "size.high", "hidden"}),
    immutable=frozenset({"location", "kind"}),
    output_only=frozenset({"state", "create_time"}),
    maps=frozenset({"tags"}),
)
CURRENT = Thing("old", {"a": "1", "b": "2"}, Size(1, 9), True, "eastus", "big")


def changes(
    mask: list[str], sent: Thing, current: Thing = CURRENT
) -> tuple[dict[str, Any], Violations]:
    violations = Violations()
    return TABLE.changes(mask, sent, current, violations), violations


def test_without_a_mask_the_populated_mutable_fields_change():
    found, violations = changes([], Thing(description="new", size=Size(high=5), hidden=False))
    assert found == {"description": "new", "size.high": 5, "hidden": False}
    assert not violations


def test_a_star_replaces_every_mutable_field():
    found, violations = changes(["*"], Thing(description="new"))
    assert found == {
        "description": "new",
        "tags": {},
        "size.low": None,
        "size.high": None,
        "hidden": None,
    }
    assert not violations


def test_a_mask_selects_exactly_its_paths_even_to_clear_them():
    found, violations = changes(["description", "hidden"], Thing(size=Size(5, 5)))
    assert found == {"description": "", "hidden": None}
    assert not violations


def test_a_mask_path_covers_what_lies_below_it():
    assert changes(["size"], Thing(size=Size(2)))[0] == {"size.low": 2, "size.high": None}


def test_one_key_of_a_map_is_set_or_removed():
    found, _ = changes(["tags.a", "tags.new.dotted"], Thing(tags={"new.dotted": "x", "b": "no"}))
    assert found == {"tags.a": None, "tags.new.dotted": "x"}
    assert replaced(CURRENT, found).tags == {"b": "2", "new.dotted": "x"}


@pytest.mark.parametrize("path", ["unknown", "size.middle", "description.x", "tags.", "", "loc"])
def test_an_unknown_path_is_a_wrong_mask(path):
    found, violations = changes(["description", path], Thing("new"))
    assert found == {"description": "new"}
    assert [violation.field for violation in violations.fields] == ["update_mask"]


def test_a_star_beside_other_paths_is_a_wrong_mask():
    assert changes(["*", "description"], Thing())[1].fields


@pytest.mark.parametrize("mask", [[], ["*"], ["location"]])
def test_a_changed_immutable_property_is_named(mask):
    found, violations = changes(mask, Thing(location="westus"))
    assert "location" not in found
    assert [violation.subject for violation in violations.preconditions] == ["location"]
    error = violations.error()
    assert error is not None
    assert error.reason == "PROPERTY_CHANGE_NOT_ALLOWED"


@pytest.mark.parametrize("mask", [[], ["*"], ["location", "kind"]])
def test_an_immutable_property_sent_as_it_is_changes_nothing(mask):
    _, violations = changes(mask, Thing(location="eastus", kind="big"))
    assert not violations


def test_clearing_an_immutable_property_is_a_change_only_where_the_mask_names_it():
    assert not changes([], Thing())[1]
    assert not changes(["*"], Thing())[1]
    assert changes(["kind"], Thing())[1].preconditions
    assert not changes(["kind"], Thing(), Thing())[1]


@pytest.mark.parametrize("path", ["state", "create_time", "name", "etag"])
def test_output_only_paths_are_ignored(path):
    found, violations = changes([path], Thing("new"))
    assert found == {}
    assert not violations


def test_dictionaries_work_like_dataclasses():
    sent = {"description": "new", "size": {"low": 3}}
    current = {"description": "old", "size": {"low": 1, "high": 9}, "location": "eastus"}
    violations = Violations()
    found = TABLE.changes([], sent, current, violations)
    assert found == {"description": "new", "size.low": 3}
    assert replaced(current, found) == {
        "description": "new",
        "size": {"low": 3, "high": 9},
        "location": "eastus",
    }


things = st.builds(
    Thing,
    description=st.text(max_size=3),
    tags=st.dictionaries(st.text("ab.", min_size=1, max_size=3), st.text("xy", max_size=2)),
    size=st.builds(Size, low=st.none() | st.integers(0, 3), high=st.none() | st.integers(0, 3)),
    hidden=st.none() | st.booleans(),
)
masks = st.lists(st.sampled_from(sorted(TABLE.mutable)), unique=True)


@given(things, things, masks)
def test_a_masked_update_makes_its_paths_equal_and_leaves_the_others(sent, current, mask):
    violations = Violations()
    after = replaced(current, TABLE.changes(mask, sent, current, violations))
    assert not violations
    for path in TABLE.mutable:
        if mask:
            source = sent if path in mask else current
        else:
            source = sent if populated(value_at(sent, path)) else current
        assert value_at(after, path) == value_at(source, path)


@given(things, things, masks)
def test_an_update_repeated_changes_nothing_more(sent, current, mask):
    once = replaced(current, TABLE.changes(mask, sent, current, Violations()))
    assert replaced(once, TABLE.changes(mask, sent, once, Violations())) == once


def test_all_paths_of_a_table_are_listed_once():
    assert list(paths_of(TABLE)) == sorted([*TABLE.mutable, *TABLE.immutable, *TABLE.output_only])


def test_a_mask_with_more_paths_than_any_resource_has_is_one_violation():
    found, violations = changes(["nothing"] * 257, Thing(description="new"))
    assert found == {}
    assert [one.description for one in violations.fields] == ["has more than 256 paths"]
    assert not changes(["tags.a"] * 256, Thing(tags={"a": "1"}))[1]
