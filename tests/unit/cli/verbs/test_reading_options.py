from typing import Any

import pytest
from stoa.catalog.v1.target_region_pb2 import TargetRegion
from stoa.type.v1.os_type_pb2 import HyperVGeneration, OsType
from stoa.type.v1.storage_pb2 import StorageAccountType

from cli.errors import UsageProblem
from cli.verbs import names, values
from cli.verbs.options import exactly_one, pairs
from cli.verbs.target_regions import target_region, target_regions
from cli.verbs.values import by_lun
from cli.verbs.version_sources import Sources
from cli.verbs.words import value


@pytest.mark.parametrize("word", ["Linux", "linux", "LINUX"])
def test_words_are_read_in_any_case(word: str) -> None:
    assert value(OsType, "OS_TYPE_", word, option="--os-type") == OsType.OS_TYPE_LINUX


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Standard_LRS", StorageAccountType.STORAGE_ACCOUNT_TYPE_STANDARD_LRS),
        ("PremiumV2_LRS", StorageAccountType.STORAGE_ACCOUNT_TYPE_PREMIUM_V2_LRS),
    ],
)
def test_storage_is_called_as_az_calls_it(word: str, meant: int) -> None:
    found = value(StorageAccountType, "STORAGE_ACCOUNT_TYPE_", word, option="--type")
    assert found == meant


def test_an_unknown_word_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(UsageProblem) as caught:
        value(HyperVGeneration, "HYPER_V_GENERATION_", "V3", option="--hyper-v-generation")
    assert caught.value.todo == "Values are V1, V2"


@pytest.mark.parametrize(
    ("text", "location", "count", "kind"),
    [
        ("eastus", "eastus", None, 0),
        ("East US 2=2", "East US 2", 2, 0),
        ("westus=0", "westus", 0, 0),
        (
            "westus=3=Standard_ZRS",
            "westus",
            3,
            StorageAccountType.STORAGE_ACCOUNT_TYPE_STANDARD_ZRS,
        ),
    ],
)
def test_target_regions_are_region_count_and_type(
    text: str, location: str, count: int | None, kind: int
) -> None:
    found = target_region(text)
    assert found.location == location
    given = found.regional_replica_count if found.HasField("regional_replica_count") else None
    assert given == count
    assert found.storage_account_type == kind


def test_a_count_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageProblem):
        target_region("eastus=two")


def test_luns_are_given_or_counted() -> None:
    assert by_lun(["a", "b"]) == {0: "a", 1: "b"}
    assert by_lun(["5=a", "2=b"]) == {5: "a", 2: "b"}
    with pytest.raises(UsageProblem, match="twice"):
        by_lun(["0=a", "0=b"])


def test_pairs_keep_everything_after_the_first_equals_sign() -> None:
    assert pairs("--tags", ["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(UsageProblem):
        pairs("--tags", ["a"])


def test_exactly_one_of_several_options() -> None:
    assert exactly_one(os_blob="x", managed_image="") == "os_blob"
    with pytest.raises(UsageProblem, match="missing"):
        exactly_one(os_blob="", managed_image=None)
    with pytest.raises(UsageProblem, match="Too much") as caught:
        exactly_one(os_blob="x", managed_image="y")
    assert "--managed-image" in caught.value.todo


def test_ids_become_names_and_names_stay() -> None:
    version = names.version("s", "rg", "g", "i", number="1.0.0")
    assert version == "subscriptions/s/resourceGroups/rg/galleries/g/images/i/versions/1.0.0"
    assert names.version("s", "x", "y", "z", number=version) == version


def test_a_view_is_named_by_region_and_public_or_unique_name() -> None:
    found = names.view("s", "East US 2", unique_name=None, public_name="demo-1")
    assert found == "subscriptions/s/locations/eastus2/communityGalleries/demo-1"
    with pytest.raises(UsageProblem):
        names.view("s", "eastus", unique_name="a", public_name="b")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2031-12-31", "2031-12-31T00:00:00Z"),
        ("2031-12-31T12:00:00Z", "2031-12-31T12:00:00Z"),
        ("2031-12-31T12:00:00+02:00", "2031-12-31T10:00:00Z"),
    ],
)
def test_dates_and_times_are_of_iso_8601(text: str, meant: str) -> None:
    assert values.time("--end-of-life-date", text).ToJsonString() == meant


def test_a_time_that_is_none_is_answered_with_how_to_say_one() -> None:
    with pytest.raises(UsageProblem) as caught:
        values.time("--end-of-life-date", "31.12.2031")
    assert "--end-of-life-date 2031-12-31" in caught.value.todo


def test_luns_of_their_own_option_are_as_many_as_the_disks() -> None:
    assert values.with_luns(["a", "b"], [4, 2], option="--luns") == {4: "a", 2: "b"}
    assert values.with_luns(["a", "b"], (), option="--luns") == {0: "a", 1: "b"}
    for luns in ([1], [1, 1]):
        with pytest.raises(UsageProblem, match="one LUN for each"):
            values.with_luns(["a", "b"], luns, option="--luns")


def _encrypted(*sets: str) -> list[TargetRegion]:
    return target_regions(["east", "west"], sets, subscription="s", resource_group="g")


def test_each_target_region_has_its_encryption_sets() -> None:
    east, west = _encrypted("os,0,a,3,b", ",1,c")
    prefix = "subscriptions/s/resourceGroups/g/diskEncryptionSets"
    assert east.encryption.os_disk_image.disk_encryption_set == f"{prefix}/os"
    assert [(one.lun, one.disk_encryption_set) for one in east.encryption.data_disk_images] == [
        (0, f"{prefix}/a"),
        (3, f"{prefix}/b"),
    ]
    assert not west.encryption.HasField("os_disk_image")
    assert [one.lun for one in west.encryption.data_disk_images] == [1]


def test_encryption_sets_are_one_entry_a_region_with_luns_and_sets_in_pairs() -> None:
    with pytest.raises(UsageProblem, match="one value for each"):
        _encrypted("os")
    for wrong in ("os,0", "os,a,0", "os,0,a,1"):
        with pytest.raises(UsageProblem, match="no value of --target-region-encryption"):
            _encrypted("os", wrong)


def _profile(**given: Any) -> Any:
    return Sources(subscription="s", resource_group="g", **given).profile()


def test_a_version_has_one_source_or_one_os_disk() -> None:
    with pytest.raises(UsageProblem, match="missing"):
        _profile()
    with pytest.raises(UsageProblem, match="Too much"):
        _profile(managed_image="m", os_disk="d")
    with pytest.raises(UsageProblem, match="with an OS disk alone"):
        _profile(managed_image="m", data_disks=["d"])


def test_data_disks_of_several_kinds_share_the_luns() -> None:
    found = _profile(os_disk="o", data_disks=["5=d"], data_snapshots=["s"], data_blobs=["2=b"])
    kinds = {one.lun: one.source.WhichOneof("source") for one in found.data_disk_images}
    assert kinds == {0: "snapshot", 2: "blob", 5: "disk"}
    with pytest.raises(UsageProblem, match="LUN 0 is given twice"):
        _profile(os_disk="o", data_disks=["d"], data_snapshots=["s"])


def test_vhds_have_one_account_or_one_each() -> None:
    os_disk = {"os_vhd_uri": "os.vhd", "os_vhd_storage_account": "a"}
    found = _profile(**os_disk, data_vhds_uris=["x", "y"])
    accounts = [one.source.vhd.storage_account for one in found.data_disk_images]
    assert accounts == ["subscriptions/s/resourceGroups/g/storageAccounts/a"] * 2
    each = _profile(**os_disk, data_vhds_uris=["x", "y"], data_vhds_sa=["b", "c"])
    assert [one.source.vhd.storage_account[-1] for one in each.data_disk_images] == ["b", "c"]
    with pytest.raises(UsageProblem, match="one account"):
        _profile(**os_disk, data_vhds_uris=["x"], data_vhds_sa=["b", "c"])
    with pytest.raises(UsageProblem, match="a storage account and a path"):
        _profile(os_vhd_uri="os.vhd")


@pytest.mark.parametrize(
    ("parent", "shown"),
    [
        ("subscriptions/s/resourceGroups/g", "x"),
        ("subscriptions/s/resourceGroups/-", "resourceGroups/g/galleries/x"),
        ("subscriptions/-/resourceGroups/-", "subscriptions/s/resourceGroups/g/galleries/x"),
    ],
)
def test_rows_of_several_parents_are_named_by_what_tells_them_apart(
    parent: str, shown: str
) -> None:
    record = {"name": "subscriptions/s/resourceGroups/g/galleries/x"}
    assert names.column(parent).of(record) == shown


def test_a_subscription_that_is_not_said_means_all_where_nothing_else_is() -> None:
    assert names.everywhere(None, "-") == "subscriptions/-/resourceGroups/-"
    assert names.everywhere("s", "-") == "subscriptions/s/resourceGroups/-"
    assert names.everywhere("s", "g") == "subscriptions/s/resourceGroups/g"
