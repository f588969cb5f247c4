"""`stoa image-version` on a real catalog: changes, lists and checks."""

from collections.abc import Callable

import pytest

from tests.wire.catalog.installation import World
from tests.wire.cli.verbs.conftest import Stoa

Completed = Callable[..., None]


@pytest.fixture
def version(world: World) -> tuple[str, ...]:
    """A version that is COMPLETED in eastus, as the options name it."""
    name = world.finished().name
    return ("-g", name, "-r", name, "-i", name, "-e", name)


def _shown(stoa: Stoa, version: tuple[str, ...]) -> dict[str, int | None]:
    found = stoa("image-version", "show", *version)
    return {one["location"]: one.get("regionalReplicaCount") for one in found["targetRegions"]}


def test_a_version_is_created_with_everything_that_is_said(stoa: Stoa, world: World) -> None:
    definition = world.definition()
    group = "/".join(definition.split("/")[:4])
    blob = world.blob(group).rpartition("/")[2]
    common = ("-g", group, "-r", definition, "-i", definition, "-e", "1.2.3")
    create = (
        *("image-version", "create", *common, "--location", "East US", "--os-blob", blob),
        *("--target-regions", "East US 2=2", "eastus=1=Standard_LRS", "--replica-count", "2"),
        *("--exclude-from-latest", "--end-of-life-date", "2099-01-31T12:00:00Z"),
        *("--no-allow-replicated-location-deletion", "--block-deletion-before-end-of-life"),
        *("--tags", "a=b"),
    )
    assert stoa(*create, "--validate-only")["provisioningState"] == "PROVISIONING_STATE_CREATING"
    assert stoa.refused("image-version", "show", *common)[0] == 3
    operation = stoa(*create, "--no-wait")
    assert operation["metadata"]["verb"] == "create"
    found = stoa(
        "image-version",
        "show",
        "-g",
        group,
        "-r",
        definition,
        "-i",
        definition,
        "-e",
        f"{definition}/versions/1.2.3",
    )
    assert [one["location"] for one in found["targetRegions"]] == ["eastus2", "eastus"]
    assert found["replicaCount"] == 2
    assert found["excludeFromLatest"] is True
    assert found["endOfLifeTime"] == "2099-01-31T12:00:00Z"
    assert found["safetyProfile"] == {
        "allowDeletionOfReplicatedLocations": False,
        "blockDeletionBeforeEndOfLife": True,
    }
    assert "replicationStatus" in found
    lean = stoa(
        "image-version",
        "show",
        *("-g", group, "-r", group, "-i", group),
        "-e",
        found["name"],
        "--no-replication-status",
    )
    assert "replicationStatus" not in lean


def test_what_may_change_of_a_version_is_changed(stoa: Stoa, version: tuple[str, ...]) -> None:
    found = stoa(
        *("image-version", "update", *version, "--exclude-from-latest"),
        *("--end-of-life-date", "2099-12-31", "--allow-replicated-location-deletion"),
        *("--tags", "team=images"),
    )
    assert found["excludeFromLatest"] is True
    assert found["endOfLifeTime"] == "2099-12-31T00:00:00Z"
    assert found["safetyProfile"] == {"allowDeletionOfReplicatedLocations": True}
    assert found["tags"] == {"team": "images"}
    found = stoa("image-version", "update", *version, "--no-exclude-from-latest")
    assert not found.get("excludeFromLatest")
    assert stoa.refused("image-version", "update", *version)[0] == 2


def test_a_plan_is_shown_and_nothing_is_changed(
    stoa: Stoa, world: World, version: tuple[str, ...]
) -> None:
    add = ("image-version", "add-region", *version, "--target-regions", "West US", "--plan")
    found = stoa(*add)
    assert [(one["location"], one["action"]) for one in found["regions"]] == [
        ("eastus", "PLANNED_ACTION_KEEP"),
        ("westus", "PLANNED_ACTION_ADD"),
    ]
    assert found["exact"] is True
    rows = stoa.table(*add)
    assert [row[:4] for row in rows] == [
        ["eastus", "Keep", "1", "0 B"],
        ["westus", "Add", "0 -> 1", "0 B"],
    ]
    for change in (
        ("set-replica-count", *version, "--replica-count", "2"),
        ("update", *version, "--replica-count", "2"),
    ):
        (row,) = stoa.table("image-version", *change, "--plan")
        assert row[:3] == ["eastus", "Raise", "1 -> 2"]
    assert _shown(stoa, version) == {"eastus": None}
    code, err = stoa.refused(
        "image-version", "remove-region", *version, "--target-regions", "eastus", "--plan"
    )
    assert code == 5
    assert "home region" in err
    definition = world.definition()
    group = "/".join(definition.split("/")[:4])
    blob = world.blob(group).rpartition("/")[2]
    common = ("-g", group, "-r", definition, "-i", definition, "-e", "1.2.3")
    create = ("image-version", "create", *common, "--os-blob", blob, "--plan")
    assert stoa(*create)["imageVersion"] == f"{definition}/versions/1.2.3"
    assert stoa(*create, "--no-wait")["metadata"]["verb"] == "plan"
    assert stoa.refused("image-version", "show", *common)[0] == 3


def test_regions_are_added_counted_and_removed(stoa: Stoa, version: tuple[str, ...]) -> None:
    accepted = ("--wait-for", "accepted")
    add = ("image-version", "add-region", *version, "--target-regions", "eastus2=2", "West US")
    stoa(*add, *accepted)
    assert _shown(stoa, version) == {"eastus": None, "eastus2": 2, "westus": None}
    count = ("image-version", "set-replica-count", *version)
    stoa(*count, "--target-regions", "eastus2", "eastus=2", *accepted)
    assert _shown(stoa, version) == {"eastus": 2, "eastus2": None, "westus": None}
    code, err = stoa.refused(*count, "--replica-count", "2", *accepted)
    assert code == 5
    assert "westus takes at most 1" in err
    operation = stoa(
        *("image-version", "remove-region", *version, "--target-regions", "eastus2", "westus"),
        "--no-wait",
    )
    assert operation["metadata"]["verb"]
    assert _shown(stoa, version) == {"eastus": 2}
    code, err = stoa.refused(
        *("image-version", "update", *version, "--target-regions", "eastus2", *accepted)
    )
    assert code == 5
    assert "must be among its target regions" in err
    assert stoa.refused("image-version", "add-region", *version)[0] == 2


def test_versions_of_all_definitions_are_told_apart(stoa: Stoa, world: World) -> None:
    gallery = world.gallery()
    images = sorted(world.definition(gallery) for _ in range(2))
    for image in images:
        world.version(image)
    rows = stoa.table(
        "image-version", "list", "-g", gallery, "-r", gallery, "-i", f"{gallery}/images/-"
    )
    relative = [one.removeprefix(f"{gallery}/") for one in images]
    assert [row[0] for row in rows] == [f"{one}/versions/1.0.0" for one in relative]
    (row,) = stoa.table("image-version", "list", "-g", gallery, "-r", gallery, "-i", images[0])
    assert row[0] == "1.0.0"
    group = "/".join(gallery.split("/")[:4])
    rows = stoa.table("image-version", "list", "-g", group, "-r", "-", "-i", "-")
    within = gallery.removeprefix(f"{group}/")
    assert [row[0] for row in rows] == [f"{within}/{one}/versions/1.0.0" for one in relative]


def test_a_soft_deleted_version_is_taken_back(
    stoa: Stoa, world: World, completed: Completed
) -> None:
    gallery = world.gallery(soft_delete_policy={"enabled": True})
    made = world.finished(world.definition(gallery))
    parent = made.name.rpartition("/versions/")[0]
    common = ("-g", gallery, "-r", gallery, "-i", parent)
    version = (*common, "-e", made.name)
    stoa("image-version", "delete", *version, "--yes", "--no-wait")
    completed(made.uid, 2)
    world.until(made.name, lambda found: found.state == 2)
    assert stoa.table("image-version", "list", *common) == []
    (row,) = stoa.table("image-version", "list", *common, "--show-deleted")
    assert row[0] == "1.0.0"
    stoa("image-version", "undelete", *version, "--no-wait")
    (row,) = stoa.table("image-version", "list", *common)
    assert row[0] == "1.0.0"


def test_a_deployment_is_checked_and_fails_where_machines_would_not_start(
    stoa: Stoa, world: World
) -> None:
    name = world.finished().name
    definition = name.rpartition("/versions/")[0]
    check = ("image-version", "check-deployment", "-i", definition, "-l", "eastus")
    found = stoa(*check, "--os-profile", "--instance-count", "1")
    assert all(one["severity"] == "SEVERITY_WARNING" for one in found)
    code, out, err = stoa.run(
        *check, "-e", "1.0.0", "--no-os-profile", "--hyper-v-generation", "V2", "-o", "tsv"
    )
    assert code == 5
    found = [line.split("\t")[:2] for line in out.splitlines()]
    assert ["Error", "Os profile required"] in found
    assert ["Error", "Generation mismatch"] in found
    assert "would not start" in err
    assert stoa.refused(*check, "--kind", "cluster")[0] == 2
