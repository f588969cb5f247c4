"""`stoa region` on a real replication service and its stores."""

from pathlib import Path

import pytest

from tests.wire.cli.replication.conftest import Command
from tests.wire.replication.service import World


@pytest.fixture
def stores(world: World) -> Path:
    """A directory that is there, for the stores of the test."""
    found = Path(world.url("home").removeprefix("file://")) / "stores"
    found.mkdir(parents=True)
    return found


def test_a_region_is_created_and_changed_with_all_that_it_has(
    region: Command,
    stores: Path,
) -> None:
    first = f"a={stores / 'a'},domain=rack1,tier=premium"
    code, made, told = region(
        "create", "--slot", first, "--prices", "USD,stored=0.02,crossed=0.08", "--bandwidth=65536"
    )
    assert code == 0, told
    assert made["prices"] == {
        "currencyCode": "USD",
        "storedGibMonthMicros": "20000",
        "crossedGibMicros": "80000",
    }
    assert made["limits"] == {"bandwidthBytesPerSecond": "65536"}
    assert (made["slots"][0]["failureDomain"], made["slots"][0]["tier"]) == (
        "rack1",
        "SLOT_TIER_PREMIUM",
    )
    second = ("--slot", f"b={stores / 'b'}", "--capability", "confidential")
    code, found, _ = region(
        "update", *second, "--bandwidth=none", "--total-bytes=0", "--concurrent-copies", "3"
    )
    assert code == 0
    assert [one["id"] for one in found["slots"]] == ["a", "b"]
    assert found["slots"][0]["replicaId"] == made["slots"][0]["replicaId"]
    # 0 is a limit: nothing more may come.
    assert found["limits"] == {"concurrentCopies": 3, "totalBytes": "0"}
    assert found["capabilities"] == ["REGION_CAPABILITY_CONFIDENTIAL"]
    assert found["prices"] == made["prices"]
    code, found, _ = region("update", "--remove-slot", "b", "--zone", "1", "--zone", "2")
    assert code == 0
    assert ([one["id"] for one in found["slots"]], found["zones"]) == (["a"], ["1", "2"])
    # A store that is well moves with what it holds, and what is not said of its slot stays.
    (stores / "a").rename(stores / "moved")
    code, found, _ = region("update", "--slot", f"a={stores / 'moved'}")
    assert code == 0
    slot = found["slots"][0]
    assert (slot["storeUrl"], slot["tier"]) == (
        (stores / "moved").as_uri(),
        "SLOT_TIER_PREMIUM",
    )
    assert (slot["failureDomain"], slot["replicaId"]) == ("rack1", made["slots"][0]["replicaId"])
    assert region("update", "--etag", made["etag"], "--display-name", "Another")[0] != 0
    assert region("show")[1]["etag"] == found["etag"]


def test_the_store_of_a_slot_is_replaced_in_its_place_or_elsewhere(
    region: Command, stores: Path
) -> None:
    root = stores / "a"
    _, made, _ = region("create", "--slot", f"a={root}")
    code, _, told = region("update", "--replace-slot", "a")
    assert code != 0
    assert "still holds" in told
    root.rename(stores / "broken")
    code, _, _ = region("update", "--replace-slot", "a", "--validate-only")
    assert (code, root.exists()) == (0, False)
    code, found, _ = region("update", "--replace-slot", "a")
    assert code == 0
    assert found["slots"][0]["replicaId"] != made["slots"][0]["replicaId"]
    root.rename(stores / "broken too")
    code, moved, _ = region("update", "--replace-slot", f"a={stores / 'new'}")
    assert code == 0
    assert moved["slots"][0]["storeUrl"] == (stores / "new").as_uri()


@pytest.mark.parametrize(
    ("options", "todo"),
    [
        (("--slot", "a"), "--slot ID=URL"),
        (("--slot", "a=/x,colour=red"), "domain, zone, tier"),
        (("--prices", "USD,stored=cheap"), "0.02"),
        (("--prices", "USD,stored=NaN"), "0.02"),
        (("--prices", "USD,crossed=Infinity"), "0.02"),
        (("--prices", "USD,crossed=1e999999999"), "0.02"),
        (("--bandwidth", "fast"), "or none"),
        (("--concurrent-copies", "9999999999"), "or none"),
        (("--replace-slot", "z"), "no slot z"),
        (("--remove-slot", "z"), "no slot z"),
        ((), "Nothing is to be changed"),
    ],
)
def test_what_means_nothing_is_said_before_anything_is_changed(
    region: Command, stores: Path, options: tuple[str, ...], todo: str
) -> None:
    _, made, _ = region("create", "--slot", f"a={stores / 'a'}")
    code, _, told = region("update", *options)
    assert code == 2
    assert todo in told
    assert region("show")[1] == made
