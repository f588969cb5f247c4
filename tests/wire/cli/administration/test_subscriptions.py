from stoa.authz.v1 import management_group_pb2

ROOT = "tenants/default/managementGroups/default"


def test_a_subscription_is_renamed_tagged_and_moved(stoa, world):
    group = world.owner.directory.CreateManagementGroup(
        management_group_pb2.CreateManagementGroupRequest(
            parent="tenants/default",
            management_group_id=world.id("mg-"),
            management_group=management_group_pb2.ManagementGroup(
                display_name="A group", parent_management_group=ROOT
            ),
        )
    ).name
    name = world.subscription().rpartition("/")[2]
    before = stoa("subscription", "show", "-n", name)
    command = ("subscription", "update", "-n", name)
    changed = stoa(*command, "--display-name", "Renamed", "--tags", "a=b", "c=d")
    assert changed["displayName"] == "Renamed"
    assert changed["tags"] == {"a": "b", "c": "d"}
    assert changed["parentManagementGroup"] == ROOT
    moved = stoa(*command, "--management-group", group.rpartition("/")[2])
    assert moved["parentManagementGroup"] == group
    assert (moved["displayName"], moved["tags"]) == ("Renamed", {"a": "b", "c": "d"})
    code, _ = stoa.refused(*command, "--display-name", "x", "--etag", before["etag"])
    assert code == 5
    code, said = stoa.refused(*command)
    assert code == 2
    assert "Nothing to change" in said
