"""Every threat has tests that bear its number, and the table of threats names them all."""

import re
from collections import defaultdict
from typing import Final

from tests.unit.docs.test_rules import FOLDERS
from tools.reference_tests import THREATS, sections, spelled_below

NUMBERS: Final = range(1, 33)
THERE: Final = {name for folder in FOLDERS for name in spelled_below(folder)}
LISTED: Final = {one.id: one for section in sections(THREATS) for one in section.rules}


def named_after() -> dict[str, set[str]]:
    """The tests whose names begin with the number of a threat, by the threat."""
    found = defaultdict(set)
    for test in THERE:
        if number := re.search(r"::test_t(\d+)_", test):
            found[f"T{number[1]}"].add(test)
    return found


def test_the_table_has_each_threat_once_with_its_defence() -> None:
    ids = [one.id for section in sections(THREATS) for one in section.rules]
    assert ids == [f"T{number}" for number in NUMBERS]
    assert [one.id for one in LISTED.values() if not one.defence] == []


def test_every_threat_has_a_test_that_is_named_after_it() -> None:
    assert sorted(set(LISTED) - set(named_after())) == []


def test_the_table_names_every_test_of_a_threat_and_none_that_is_not_there() -> None:
    assert sorted({test for one in LISTED.values() for test in one.tests} - THERE) == []
    unlisted = {
        test for one, tests in named_after().items() for test in tests - set(LISTED[one].tests)
    }
    assert sorted(unlisted) == []
