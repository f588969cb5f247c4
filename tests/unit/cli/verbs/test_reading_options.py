import pytest
from stoa.type.v1.os_type_pb2 import HyperVGeneration, OsType
from stoa.type.v1.storage_pb2 import StorageAccountType

from cli.errors import UsageProblem
from cli.verbs import names
from cli.verbs.image_version_create import target_region
from cli.verbs.managed_image import by_lun
from cli.verbs.options import exactly_one, pairs
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
