"""The names of the catalog are those of its contract."""

import importlib
from pathlib import Path

import pytest
from google.api import resource_pb2

from services.catalog.domain import names, reasons

GEN = Path(__file__).resolve().parents[4] / "gen"


def _contract() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted((GEN / "stoa/catalog/v1").glob("*_pb2.py")):
        module = importlib.import_module(f"stoa.catalog.v1.{path.stem}")
        for message in module.DESCRIPTOR.message_types_by_name.values():
            options = message.GetOptions()
            if options.HasExtension(resource_pb2.resource):
                resource = options.Extensions[resource_pb2.resource]
                found[resource.type] = list(resource.pattern)
    return found


def test_every_pattern_is_that_of_the_contract_and_none_is_missing() -> None:
    ours = {kind: list(pattern.patterns) for kind, pattern in names.PATTERNS.items()}
    assert ours == _contract()


def test_every_reason_is_one_of_the_contract() -> None:
    from stoa.catalog.v1 import error_reason_pb2 as own
    from stoa.type.v1 import error_reason_pb2 as shared

    known = {
        name.removeprefix("ERROR_REASON_")
        for enum in (own.ErrorReason, shared.ErrorReason)
        for name in enum.DESCRIPTOR.values_by_name
    }
    ours = {value for name, value in vars(reasons).items() if name.isupper()}
    assert ours <= known
    assert ours


@pytest.mark.parametrize(("disk", "order"), [("os", -1), ("0", 0), ("10", 10)])
def test_the_os_disk_stands_before_the_data_disks(disk: str, order: int) -> None:
    assert names.disk_order(disk) == order
