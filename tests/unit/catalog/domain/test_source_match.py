"""What is known of a source against a definition (gallery-semantics 3.7 and 3.12)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.catalog.domain.definition import Definition, Feature, Identifier
from services.catalog.domain.hardware import (
    Architecture,
    DiskControllerType,
    HyperVGeneration,
    MachineSecurityType,
    OsState,
    OsType,
    PurchasePlan,
)
from services.catalog.domain.source_match import SOURCES_OF, check, system_of
from services.catalog.domain.system import System
from services.kernel.violations import Violations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = (1, 0, 0)
PLAN = PurchasePlan("name", "publisher", "product")
MACHINES = {
    "": MachineSecurityType.STANDARD,
    "trusted": MachineSecurityType.TRUSTED_LAUNCH,
    "confidential": MachineSecurityType.CONFIDENTIAL_VM,
}
FITTING = System(
    os_type=OsType.LINUX,
    os_state=OsState.GENERALIZED,
    hyper_v_generation=HyperVGeneration.V2,
)


def definition(*features: Feature, **more: Any) -> Definition:
    fields: dict[str, Any] = {
        "os_type": OsType.LINUX,
        "os_state": OsState.GENERALIZED,
        "hyper_v_generation": HyperVGeneration.V2,
    }
    return Definition(
        name="subscriptions/s/resourceGroups/g/galleries/a/images/i",
        uid="1",
        location="eastus",
        create_time=NOW,
        update_time=NOW,
        identifier=Identifier("p", "o", "s"),
        features=features,
        **(fields | more),
    )


def found(system: System, wanted: Definition, number: tuple[int, int, int] = NUMBER) -> set[str]:
    violations = Violations()
    check(system, wanted, number, violations, resource="source")
    assert {one.subject for one in violations.preconditions} <= {"source"}
    return {one.type for one in violations.preconditions}


def test_a_source_that_fits_is_taken() -> None:
    assert found(FITTING, definition()) == set()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"os_type": OsType.WINDOWS}, "SOURCE_OS_TYPE_MISMATCH"),
        ({"os_type": None}, "SOURCE_OS_TYPE_MISMATCH"),
        ({"os_state": OsState.SPECIALIZED}, "SOURCE_OS_STATE_MISMATCH"),
        ({"hyper_v_generation": HyperVGeneration.V1}, "SOURCE_GENERATION_MISMATCH"),
        ({"architecture": Architecture.ARM64}, "SOURCE_ARCHITECTURE_MISMATCH"),
        ({"purchase_plan": PLAN}, "SOURCE_PLAN_MISMATCH"),
        ({"disk_controllers": (DiskControllerType.NVME,)}, "SOURCE_FEATURE_MISMATCH"),
    ],
)
def test_every_difference_has_its_own_reason(change: dict[str, Any], reason: str) -> None:
    assert found(replace(FITTING, **change), definition()) == {reason}


def test_all_differences_are_told_at_once() -> None:
    other = System(os_type=OsType.WINDOWS, architecture=Architecture.ARM64)
    assert found(other, definition()) == {
        "SOURCE_OS_TYPE_MISMATCH",
        "SOURCE_GENERATION_MISMATCH",
        "SOURCE_ARCHITECTURE_MISMATCH",
    }


def test_what_is_not_known_is_not_compared() -> None:
    promised = definition(Feature("IsAcceleratedNetworkSupported", "True"))
    assert found(replace(FITTING, os_state=None, accelerated_networking=None), promised) == set()


def test_plans_are_compared_without_case_and_none_differs_from_any() -> None:
    planned = definition(purchase_plan=PurchasePlan("NAME", "Publisher", "PRODUCT"))
    assert found(replace(FITTING, purchase_plan=PLAN), planned) == set()
    assert found(FITTING, planned) == {"SOURCE_PLAN_MISMATCH"}


@pytest.mark.parametrize(("machine", "kind"), MACHINES.items())
@pytest.mark.parametrize("wanted", SOURCES_OF)
def test_the_security_type_of_a_definition_says_which_machines_it_takes(
    machine: str, kind: MachineSecurityType, wanted: str
) -> None:
    # An exact type takes its own machines, `Supported` plain ones too, Standard plain ones alone.
    fits = machine in wanted.lower() if machine else "Supported" in wanted or wanted == "Standard"
    refused = set() if fits else {"SOURCE_SECURITY_TYPE_MISMATCH"}
    source = replace(FITTING, security_type=kind)
    assert found(source, definition(Feature("SecurityType", wanted))) == refused


@pytest.mark.parametrize("wanted", SOURCES_OF)
def test_guest_state_cannot_go_into_a_type_that_ends_in_supported(wanted: str) -> None:
    kind = next(iter(SOURCES_OF[wanted]))
    source = replace(FITTING, security_type=kind, carries_vm_guest_state=True)
    refused = {"SOURCE_CARRIES_GUEST_STATE"} if wanted.endswith("Supported") else set()
    assert found(source, definition(Feature("SecurityType", wanted))) == refused


@pytest.mark.parametrize("has", [True, False, None])
def test_a_promise_of_accelerated_networking_needs_a_source_with_it(has: bool | None) -> None:
    source = replace(FITTING, accelerated_networking=has)
    refused = {"SOURCE_FEATURE_MISMATCH"} if has is False else set()
    assert found(source, definition(Feature("IsAcceleratedNetworkSupported", "True"))) == refused
    assert found(source, definition(Feature("IsAcceleratedNetworkSupported", "False"))) == set()


def test_an_nvme_source_needs_an_nvme_definition() -> None:
    source = replace(FITTING, disk_controllers=(DiskControllerType.NVME,))
    assert found(source, definition(Feature("DiskControllerTypes", "SCSI, NVMe"))) == set()
    assert found(source, definition(Feature("DiskControllerTypes", "SCSI"))) == {
        "SOURCE_FEATURE_MISMATCH"
    }


def test_a_feature_holds_from_the_version_on_that_it_names() -> None:
    wanted = definition(Feature("IsAcceleratedNetworkSupported", "True", "2.0.0"))
    source = replace(FITTING, accelerated_networking=False)
    assert found(source, wanted, (1, 9, 9)) == set()
    assert found(source, wanted, (2, 0, 0)) == {"SOURCE_FEATURE_MISMATCH"}


def test_a_version_is_a_source_with_what_its_definition_says() -> None:
    origin = definition(
        Feature("SecurityType", "TrustedLaunch"),
        Feature("IsAcceleratedNetworkSupported", "False"),
        Feature("DiskControllerTypes", "SCSI, NVMe"),
    )
    source = system_of(origin, NUMBER, guest_state=True)
    assert found(source, origin) == set()
    assert found(source, definition(Feature("SecurityType", "TrustedLaunchSupported"))) == {
        "SOURCE_CARRIES_GUEST_STATE",
        "SOURCE_FEATURE_MISMATCH",
    }
    assert found(source, definition()) == {
        "SOURCE_SECURITY_TYPE_MISMATCH",
        "SOURCE_FEATURE_MISMATCH",
    }
