"""The rules of services/kernel/README.md that a program can check."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KERNEL = ROOT / "services" / "kernel"
PURE = (
    *("backoff", "child", "clock", "config", "errors", "etag", "field_mask", "filter", "ids"),
    *("names", "paging", "process", "program", "request_digest", "stopping", "violations"),
)
NOUNS = ("gallery", "galleries", "image", "replica", "replication", "blob", "role_", "sharing")
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}
OWN = [*KERNEL.glob("*.py"), *(KERNEL / "db").glob("*.py"), *(KERNEL / "feed").glob("*.py")]


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(KERNEL)))
def test_no_identifier_names_a_resource_of_a_service(path):
    found = [
        name
        for name in identifiers(ast.parse(path.read_text()))
        if any(noun in name.lower() for noun in NOUNS)
    ]
    assert found == []


def test_there_is_no_drawer():
    assert not {path.stem for path in KERNEL.rglob("*.py")} & DRAWERS


def test_the_pure_part_imports_the_standard_library_alone():
    modules = ", ".join(f"services.kernel.{name}" for name in PURE)
    program = (
        f"import sys; before = set(sys.modules); import {modules};"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - sys.stdlib_module_names - {'services'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_the_database_imports_neither_the_wire_nor_the_driver_that_it_does_not_use():
    program = (
        "import sys, services.kernel.db.sqlite, services.kernel.feed.log;"
        "print(*({'grpc', 'google', 'psycopg', 'alembic', 'stoa'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []
