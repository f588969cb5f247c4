"""`stoa gallery`, `image-definition` and `usage` on a real catalog."""

from tests.wire.authz.installation import World as Policy
from tests.wire.catalog.installation import World
from tests.wire.cli.verbs.conftest import Stoa


def test_a_gallery_is_changed_in_what_is_said_alone(stoa: Stoa, world: World) -> None:
    name = world.gallery(description="Before", tags={"a": "1"})
    found = stoa("gallery", "update", "-g", name, "-r", name, "--tags", "b=2", "c=3")
    assert (found["description"], found["tags"]) == ("Before", {"b": "2", "c": "3"})
    found = stoa(
        *("gallery", "update", "-g", name, "-r", name, "--description", "After"),
        *("--soft-delete", "--soft-delete-retention-days", "3", "--allow-copy"),
    )
    assert found["description"] == "After"
    kept = found["softDeletePolicy"]
    assert (kept["enabled"], kept["retentionDuration"]) == (True, "259200s")
    assert found["allowCopy"] is True
    assert found["tags"] == {"b": "2", "c": "3"}


def test_a_private_gallery_becomes_a_community_one(stoa: Stoa, world: World) -> None:
    name = world.gallery()
    code, err = stoa.refused("gallery", "update", "-g", name, "-r", name, "--permissions", "Public")
    assert code == 2
    assert "PRIVATE, GROUPS, COMMUNITY" in err
    found = stoa(
        *("gallery", "update", "-g", name, "-r", name, "--permissions", "Community"),
        *("--publisher-uri", "https://example.org", "--publisher-email", "a@example.org"),
        *("--eula", "https://example.org/terms", "--public-name-prefix", "example"),
    )
    assert found["sharingProfile"]["mode"] == "SHARING_MODE_COMMUNITY"
    code, err = stoa.refused(
        "gallery", "update", "-g", name, "-r", name, "--permissions", "Private"
    )
    assert code == 5
    assert "RESET" in err


def test_an_update_may_be_checked_only_and_holds_for_its_etag(stoa: Stoa, world: World) -> None:
    name = world.gallery(description="Before")
    update = ("gallery", "update", "-g", name, "-r", name, "--description", "After")
    assert stoa(*update, "--validate-only")["description"] == "After"
    etag = stoa("gallery", "show", "-g", name, "-r", name)["etag"]
    assert stoa("gallery", "show", "-g", name, "-r", name)["description"] == "Before"
    stoa(*update, "--etag", etag)
    assert stoa.refused(*update, "--etag", etag)[0] == 5
    assert stoa.refused("gallery", "update", "-g", name, "-r", name)[0] == 2


def test_galleries_without_a_subscription_are_all_that_the_caller_may_see(
    stoa: Stoa, world: World, policy: Policy
) -> None:
    tag = world.id("tag")
    here = world.gallery(tags={"set": tag})
    hidden = world.gallery(tags={"set": tag})
    reader = policy.user()
    policy.assign(reader, "Reader", here)
    world.catalog.catch_up()
    by_tag = ("--filter", f"tags.set = {tag}")
    assert {row[0] for row in stoa.table("gallery", "list", *by_tag)} == {here, hidden}
    stoa.user(reader.rpartition("/")[2])
    (row,) = stoa.table("gallery", "list", *by_tag)
    assert row[0] == here
    # With a subscription or a group the names are those within it.
    group = here.split("/")[3]
    in_subscription = stoa.table("gallery", "list", "--subscription", "default", *by_tag)
    assert [one[0] for one in in_subscription] == [here.partition("default/")[2]]
    stoa.user("owner")
    (row,) = stoa.table("gallery", "list", "-g", group, *by_tag)
    assert row[0] == here.rpartition("/")[2]


def test_a_definition_has_what_is_said_of_it_and_is_changed(stoa: Stoa, world: World) -> None:
    gallery = world.gallery()
    common = ("-g", gallery, "-r", gallery, "-i", "ubuntu")
    made = stoa(
        *("image-definition", "create", *common, "-l", "East US", "--os-type", "Linux"),
        *("-p", "Contoso", "-f", "Finance", "-s", "Backend"),
        *("--end-of-life-date", "2099-12-31", "--disallowed-disk-types", "Standard_LRS"),
        *("--minimum-cpu-core", "2", "--maximum-memory", "64"),
        *("--features", "IsHibernateSupported=True", "DiskControllerTypes=SCSI,NVMe"),
    )
    assert made["location"] == "eastus"
    assert made["endOfLifeTime"] == "2099-12-31T00:00:00Z"
    assert made["recommended"] == {"vcpus": {"min": 2}, "memoryGb": {"max": 64}}
    assert made["disallowed"]["diskTypes"] == ["DISK_TYPE_STANDARD_LRS"]
    changed = stoa(
        *("image-definition", "update", *common, "--maximum-cpu-core", "8"),
        *("--release-note-uri", "https://example.org/notes", "--description", "New"),
    )
    assert changed["recommended"] == {"vcpus": {"max": 8}, "memoryGb": {"max": 64}}
    assert changed["description"] == "New"
    code, err = stoa.refused("image-definition", "update", *common, "--end-of-life-date", "soon")
    assert code == 2
    assert "soon is no value of --end-of-life-date" in err
    features = ("image-definition", "update", *common, "--features", "IsHibernateSupported=False")
    assert stoa.refused(*features)[0] == 5
    found = stoa(*features, "--allow-update-image")
    assert [one["value"] for one in found["features"]] == ["False"]


def test_definitions_of_all_galleries_are_told_apart(stoa: Stoa, world: World) -> None:
    group = world.group()
    names = sorted(world.definition(world.gallery(group)) for _ in range(2))
    rows = stoa.table("image-definition", "list", "-g", group, "-r", "-")
    assert [row[0] for row in rows] == [one.removeprefix(f"{group}/") for one in names]


def test_use_is_listed_with_limits_and_shown_by_metric(
    stoa: Stoa, world: World, policy: Policy
) -> None:
    place = policy.subscription().rpartition("/")[2]
    world.catalog.catch_up()
    stoa("group", "create", "-n", "g", "-l", "eastus", "--subscription", place)
    stoa(
        *("gallery", "create", "-g", "g", "-r", "G", "-l", "East US 2"),
        *("--subscription", place),
    )
    rows = stoa.table("usage", "list", "-l", "East US 2", "--subscription", place)
    assert len(rows) == 11
    limit = str(world.catalog.config.max_galleries)
    assert rows[0][:3] == ["galleries", "1", limit]
    assert rows[4][:3] == ["storedBytes", "0 B", ""]
    assert rows[7][:3] == ["fullDiskBytes", "", "2.0 TiB"]
    everywhere = stoa.table(
        *("usage", "list", "--subscription", place, "--filter", "metric = GALLERIES")
    )
    assert [row[:3] for row in everywhere] == [["eastus2", "galleries", "1"]]
    whose = ("usage", "list", "--subscription", "-", "--filter", "metric = GALLERIES")
    assert [place, "eastus2", "galleries", "1"] in [row[:4] for row in stoa.table(*whose)]
    found = stoa("usage", "show", "-l", "eastus2", "-m", "galleries", "--subscription", place)
    assert (found["currentValue"], found["limit"]) == ("1", limit)
    assert stoa.refused("usage", "show", "-l", "eastus2", "-m", "nothing")[0] == 3
