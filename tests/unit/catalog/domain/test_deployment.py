"""What is found of a machine and an image, without a service around it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stoa.catalog.v1 import deployment_check_pb2

from services.catalog.domain.definition import Definition, Identifier, Recommended, ResourceRange
from services.catalog.domain.deployment import (
    Deployment,
    DeploymentKind,
    FindingKind,
    Image,
    Layout,
    MachineShape,
    Severity,
)
from services.catalog.domain.deployment_rules import check
from services.catalog.domain.hardware import HyperVGeneration, OsState, OsType, PurchasePlan
from services.catalog.domain.region_status import RegionState, RegionStatus
from services.catalog.domain.version import ReplicationMode, TargetRegion, Version, VersionState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
UNIFORM, FLEXIBLE = DeploymentKind.UNIFORM_SCALE_SET, DeploymentKind.FLEXIBLE_SCALE_SET
Finding = deployment_check_pb2.DeploymentFinding


def _common(name: str) -> dict[str, Any]:
    return {"name": name, "uid": name, "location": "e", "create_time": NOW, "update_time": NOW}


def image(
    definition: dict[str, Any] | None = None, status: RegionStatus | None = None, **version: Any
) -> Image:
    fields: dict[str, Any] = {
        "os_type": OsType.LINUX,
        "os_state": OsState.GENERALIZED,
        "identifier": Identifier("P", "O", "S"),
    }
    made = Version(
        **_common("v"),
        number=(1, 0, 0),
        tenant="t",
        source=None,
        disks=(),
        target_regions=(TargetRegion("e"),),
        publish_time=NOW,
        **version,
    )
    good = RegionStatus("e", 0, 1, 1, RegionState.COMPLETED, usable=True, good=1)
    return Image(
        Definition(**_common("d"), **(fields | (definition or {}))),
        made,
        status or good,
        confidential=False,
        now=NOW,
    )


def found(
    what: Image, deployment: Deployment | None = None, current: Layout | None = None
) -> list[str]:
    findings = check(what, deployment or Deployment(MachineShape()), current)
    return [one.kind.name for one in findings]


def test_kinds_and_severities_are_those_of_the_contract() -> None:
    theirs = {
        name.removeprefix("FINDING_KIND_"): number
        for name, number in Finding.FindingKind.items()
        if number
    }
    assert theirs == {one.name: one.value for one in FindingKind}
    comments = {one.name: one.severity for one in FindingKind}
    assert comments["SCALE_SET_DATA_DISKS_MISMATCH"] is Severity.ERROR
    assert comments["VCPUS_NOT_RECOMMENDED"] is Severity.WARNING


@pytest.mark.parametrize(("count", "warned"), [(50, False), (51, True)])
def test_a_shallow_version_is_not_for_many_machines(count: int, warned: bool) -> None:
    shallow = image(mode=ReplicationMode.SHALLOW)
    kinds = found(shallow, Deployment(MachineShape(), instance_count=count))
    assert ("SHALLOW_MASS_DEPLOYMENT" in kinds) == warned
    assert "TOO_FEW_REPLICAS" in kinds


def test_a_soft_deleted_version_is_refused_to_a_flexible_scale_set_alone() -> None:
    deleted = image(
        version_state=VersionState.SOFT_DELETED,
        consumption_end_time=NOW + timedelta(days=7),
    )
    assert found(deleted) == ["SOFT_DELETED"]
    assert found(deleted, Deployment(MachineShape(), UNIFORM)) == ["SOFT_DELETED"]
    assert found(deleted, Deployment(MachineShape(), FLEXIBLE)) == [
        "SOFT_DELETED_IN_FLEXIBLE_SCALE_SET",
        "SOFT_DELETED",
    ]


def test_the_end_of_life_is_the_versions_own_or_the_definitions() -> None:
    past, ahead = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
    assert found(image({"end_of_life_time": past})) == ["END_OF_LIFE_PASSED"]
    assert found(image({"end_of_life_time": past}, end_of_life_time=ahead)) == []
    assert found(image({"end_of_life_time": ahead}, end_of_life_time=NOW)) == ["END_OF_LIFE_PASSED"]


def test_errors_come_before_warnings_each_in_the_order_of_their_kinds() -> None:
    recommended = Recommended(vcpus=ResourceRange(min=4))
    much = image(
        {
            "recommended": recommended,
            "purchase_plan": PurchasePlan("n", "p", "o"),
            "os_state": OsState.SPECIALIZED,
        },
        RegionStatus("e", 0, 3, 1, RegionState.DEGRADED, usable=True, good=1),
    )
    shape = MachineShape(vcpus=1, os_profile_given=True, hyper_v_generation=HyperVGeneration.V2)
    current = Layout(OsType.WINDOWS, HyperVGeneration.V2, {"1": 5})
    assert found(much, Deployment(shape, UNIFORM, 2000), current) == [
        "OS_PROFILE_NOT_ALLOWED",
        "GENERATION_MISMATCH",
        "PURCHASE_PLAN_REQUIRED",
        "TERMS_NOT_ACCEPTED",
        "INSTANCE_COUNT_TOO_HIGH",
        "SCALE_SET_OS_TYPE_MISMATCH",
        "SCALE_SET_GENERATION_MISMATCH",
        "SCALE_SET_DATA_DISKS_MISMATCH",
        "VCPUS_NOT_RECOMMENDED",
        "SPECIALIZED_IDENTITY",
        "TOO_FEW_REPLICAS",
        "DEGRADED",
    ]


def test_replicas_are_told_to_the_owner_alone() -> None:
    few = image(status=RegionStatus("e", 0, 3, 1, RegionState.DEGRADED, usable=True, good=1))
    deployment = Deployment(MachineShape(), instance_count=500)
    assert len(check(few, deployment, None)) == 2
    assert check(replace(few, is_view=True), deployment, None) == []
