"""The table of faults names tests that are there, and every test of the fault suite."""

from typing import Final

from tests.unit.docs.test_rules import FOLDERS
from tools.reference_tests import FAULTS, sections, spelled_below

SUITE: Final = set(spelled_below("faults"))
THERE: Final = SUITE.union(*(spelled_below(folder) for folder in FOLDERS))
LISTED: Final = {
    test for section in sections(FAULTS) for one in section.rules for test in one.tests
}


def test_the_table_names_no_test_that_is_not_there() -> None:
    assert sorted(LISTED - THERE) == []


def test_the_table_names_every_test_of_the_suite() -> None:
    assert SUITE
    assert sorted(SUITE - LISTED) == []
