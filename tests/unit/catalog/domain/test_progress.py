"""All regions of a version together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.catalog.domain.progress import (
    AggregatedState,
    aggregated,
    in_order,
    percent,
    provisioning_state,
    selectable,
    usable,
)
from services.catalog.domain.region_status import Bytes, Progress, RegionState, RegionStatus
from services.catalog.domain.resource import ProvisioningState
from services.catalog.domain.version import TargetRegion, Version, VersionState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
VERSION = Version(
    name="subscriptions/s/resourceGroups/r/galleries/g/images/i/versions/1.0.0",
    uid="1" * 32,
    location="a",
    create_time=NOW,
    update_time=NOW,
    number=(1, 0, 0),
    tenant="tenants/t",
    source=None,
    disks=(),
    target_regions=(TargetRegion("a"), TargetRegion("b", exclude_from_latest=True)),
    publish_time=NOW,
)


def _region(location: str, state: RegionState, **more: object) -> RegionStatus:
    observed = 1 if state.terminal else 0
    status = RegionStatus(location, "ab".index(location), 1, 1, state, observed=observed)
    return replace(status, **more)  # type: ignore[arg-type]


C, F, R = RegionState.COMPLETED, RegionState.FAILED, RegionState.REPLICATING


@pytest.mark.parametrize(
    ("first", "second", "settled", "whole", "state"),
    [
        (C, C, False, AggregatedState.COMPLETED, ProvisioningState.SUCCEEDED),
        (C, R, False, AggregatedState.IN_PROGRESS, ProvisioningState.CREATING),
        (C, R, True, AggregatedState.IN_PROGRESS, ProvisioningState.UPDATING),
        (F, R, False, AggregatedState.FAILED, ProvisioningState.CREATING),
        (C, F, True, AggregatedState.FAILED, ProvisioningState.FAILED),
        (RegionState.DEGRADED, C, True, AggregatedState.COMPLETED, ProvisioningState.SUCCEEDED),
    ],
)
def test_the_state_of_a_version_follows_from_its_regions(
    first: RegionState,
    second: RegionState,
    settled: bool,
    whole: AggregatedState,
    state: ProvisioningState,
) -> None:
    regions = [_region("a", first), _region("b", second)]
    assert aggregated(regions) is whole
    assert provisioning_state(replace(VERSION, settled=settled), regions) is state


def test_a_state_of_an_older_generation_settles_nothing() -> None:
    regions = [_region("a", C, wanted_since=2)]
    assert aggregated(regions) is AggregatedState.IN_PROGRESS
    assert aggregated([replace(regions[0], observed=2)]) is AggregatedState.COMPLETED


def test_a_region_that_is_being_removed_does_not_count() -> None:
    leaving = _region("b", RegionState.REMOVING, position=None)
    assert aggregated([_region("a", C), leaving]) is AggregatedState.COMPLETED
    assert in_order([leaving, _region("a", C)])[1] is leaving


def test_the_share_that_is_done_weighs_each_region_by_its_bytes() -> None:
    large = _region("a", R, progress=Progress(Bytes(total=300), 0))
    small = _region("b", C, progress=Progress(Bytes(total=100), 100))
    assert percent([large, small]) == 25
    assert percent([replace(large, progress=Progress()), small]) == 50
    assert percent([]) == 100


def test_latest_passes_over_what_is_excluded_unusable_or_on_its_way_out() -> None:
    found = _region("a", C, usable=True)
    assert selectable(VERSION, found)
    assert not selectable(VERSION, replace(found, usable=False))
    assert not selectable(VERSION, _region("b", C, usable=True))
    assert not selectable(replace(VERSION, exclude_from_latest=True), found)
    assert not selectable(replace(VERSION, state=ProvisioningState.DELETING), found)
    assert not selectable(replace(VERSION, version_state=VersionState.SOFT_DELETED), found)


def test_a_soft_deleted_version_is_used_until_its_retention_ends() -> None:
    deleted = replace(
        VERSION,
        version_state=VersionState.SOFT_DELETED,
        consumption_end_time=NOW,
        purge_time=NOW + timedelta(days=1),
    )
    ended = replace(deleted, retention_ended=True)
    region = _region("a", C, usable=True)
    assert usable(deleted, region)
    assert not usable(ended, region)
    assert not usable(deleted, replace(region, usable=False))
    assert (deleted.expiry_time, ended.expiry_time) == (NOW, NOW + timedelta(days=1))
    assert VERSION.expiry_time is None
    assert replace(ended, state=ProvisioningState.DELETING).expiry_time is None
