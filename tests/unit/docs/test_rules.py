"""The table of rules names tests that exist, and every reason has one that provokes it."""

import ast
from collections.abc import Iterator
from typing import Final

from stoa.catalog.v1.error_reason_pb2 import ErrorReason as CatalogReason
from stoa.type.v1.error_reason_pb2 import ErrorReason as SharedReason

from tests.system.test_contract import methods
from tools.reference_tests import TESTS, explained, provoking, sections, spelled_below

FOLDERS: Final = ("unit", "integration", "wire", "system")
REASONS: Final = {
    f"{package}.{name.removeprefix('ERROR_REASON_')}"
    for package, reasons in (("stoa.catalog.v1", CatalogReason), ("stoa.type.v1", SharedReason))
    for name, number in reasons.items()
    if number
}


def test_every_test_that_a_rule_names_exists() -> None:
    there = {name for folder in FOLDERS for name in spelled_below(folder)}
    named = {test for section in sections() for rule in section.rules for test in rule.tests}
    assert sorted(named - there) == []


def test_a_rule_has_one_name() -> None:
    ids = [rule.id for section in sections() for rule in section.rules]
    assert len(ids) == len(set(ids))


def test_every_reason_is_provoked_or_explained_and_never_both() -> None:
    provoked = {one for one in REASONS if provoking(*one.rsplit(".", 1))}
    assert sorted(REASONS - provoked - set(explained())) == []
    assert sorted(provoked & set(explained())) == []
    assert sorted(set(explained()) - REASONS) == []


def test_every_method_of_the_catalog_is_called_by_a_wire_test() -> None:
    every = {one.full_name for one in methods("catalog")}
    called = set(spelled())
    assert [one for one in sorted(every) if one.rpartition(".")[2] not in called] == []


def spelled() -> Iterator[str]:
    """What the wire tests of the catalog say after a dot, and what they put together."""
    for path in (TESTS / "wire" / "catalog").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif path.name == "sources.py" and isinstance(node, ast.Constant):
                # It calls every kind of source alike, each by its name.
                yield from (f"{verb}{node.value!s}" for verb in ("Create", "Get", "Delete"))
                yield f"List{node.value!s}s"
