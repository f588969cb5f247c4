"""Domain values survive the way through JSON."""

import json
from datetime import UTC, datetime, timedelta

from services.catalog.domain.disk_source import ByteSource, SourceDisk, SourceKind
from services.catalog.domain.gallery import (
    Consumers,
    Gallery,
    PendingShare,
    ShareChange,
    ShareOperation,
    Sharing,
    SharingMode,
    SoftDeletePolicy,
)
from services.catalog.domain.region_status import Cause, RegionState, RegionStatus
from services.catalog.domain.version import SafetyProfile, TargetRegion, Version
from services.catalog.store.documents import dump, load

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def _again(value):
    return load(type(value), json.loads(json.dumps(dump(value))))


def test_a_gallery_with_a_pending_share_comes_back_equal():
    consumers = Consumers(("subscriptions/b",), ())
    wanted = Sharing(mode=SharingMode.GROUPS, groups=consumers)
    gallery = Gallery(
        name="subscriptions/s/resourceGroups/r/galleries/g",
        uid="0" * 32,
        location="eastus",
        create_time=NOW,
        update_time=NOW,
        shared_id="x",
        tags={"a": "b"},
        soft_delete=SoftDeletePolicy(True, timedelta(days=3)),
        pending=PendingShare("r", ShareChange(ShareOperation.ADD, consumers), wanted, NOW),
    )
    assert _again(gallery) == gallery


def test_a_version_comes_back_equal_with_its_three_states():
    version = Version(
        name="subscriptions/s/resourceGroups/r/galleries/g/images/i/versions/01.2.3",
        uid="1" * 32,
        location="eastus",
        create_time=NOW,
        update_time=NOW,
        number=(1, 2, 3),
        tenant="tenants/t",
        source=None,
        disks=(SourceDisk("os", ByteSource(SourceKind.BLOB, "b", "u"), 5),),
        target_regions=(TargetRegion("eastus"), TargetRegion("westus", 2, None, False)),
        publish_time=NOW,
        safety=SafetyProfile(allow_deletion_of_replicated_locations=False),
    )
    assert _again(version) == version


def test_bytes_and_enums_of_a_region_come_back():
    status = RegionStatus(
        "eastus", 0, 1, 1, RegionState.FAILED, cause=Cause(b"\x00\xff", 9, "R", "m")
    )
    assert _again(status) == status


def test_what_has_its_default_is_left_out():
    assert dump(TargetRegion("eastus")) == {"location": "eastus"}
