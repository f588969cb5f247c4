import json
import uuid

import pytest

from cli.app import run

SHARE = "Microsoft.Compute/galleries/share/action"


@pytest.fixture
def subscription(world):
    return world.subscription()


def azures(subscription, title, own):
    """One role in the forms in which the original has it, by how they are called."""
    lists = {"actions": ["Microsoft.Compute/galleries/*"], "notActions": [SHARE]}
    scopes = [f"/{subscription}"]
    own_id = f"/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{own}"
    listed = {
        "id": own_id,
        "name": own,
        "type": "Microsoft.Authorization/roleDefinitions",
        "roleName": title,
        "roleType": "CustomRole",
        "description": "All but sharing",
        "permissions": [{**lists, "dataActions": [], "notDataActions": [], "condition": None}],
        "assignableScopes": scopes,
    }
    return {
        "az role definition create": {
            "Name": title,
            "Id": own,
            "IsCustom": True,
            "Description": "All but sharing",
            "Actions": lists["actions"],
            "NotActions": lists["notActions"],
            "DataActions": [],
            "NotDataActions": [],
            "AssignableScopes": scopes,
        },
        "az role definition list": [listed],
        "the portal": {
            "id": own_id,
            "properties": {
                "roleName": title,
                "description": "All but sharing",
                "permissions": [lists],
                "assignableScopes": scopes,
            },
        },
    }


FORMS = tuple(azures("subscriptions/s", "", ""))


@pytest.mark.parametrize("form", FORMS)
def test_a_role_of_the_original_is_imported_as_it_is(stoa, tmp_path, world, subscription, form):
    title, own = world.id("Imported "), str(uuid.uuid4())
    file = tmp_path / "role.json"
    file.write_text(json.dumps(azures(subscription, title, own)[form]))
    made = stoa("role", "definition", "create", "--file", str(file))
    assert made["name"] == f"roleDefinitions/{own}"
    assert made["roleName"] == title
    assert made["description"] == "All but sharing"
    assert made["permissions"] == [
        {"actions": ["Microsoft.Compute/galleries/*"], "notActions": [SHARE]}
    ]
    assert made["assignableScopes"] == [subscription]
    shown = stoa("role", "definition", "show", "--name", title)
    assert shown == made
    scope = ("--scope", subscription)
    assigned = stoa(
        *("role", "assignment", "create", "--assignee", world.user(), "--role", title), *scope
    )
    assert assigned["roleDefinition"] == made["name"]


def test_a_management_group_is_that_of_the_tenant_and_scopes_can_be_replaced(
    stoa, tmp_path, world, subscription
):
    file = tmp_path / "role.json"
    group = "/providers/Microsoft.Management/managementGroups/default"
    flat = {"Name": world.id("Role "), "Actions": ["*/read"], "AssignableScopes": [group]}
    file.write_text(json.dumps(flat))
    made = stoa("role", "definition", "create", "--file", str(file))
    assert made["assignableScopes"] == ["tenants/default/managementGroups/default"]
    flat["Name"] = world.id("Role ")
    file.write_text(json.dumps(flat))
    scopes = ("--assignable-scopes", subscription, f"{subscription}/resourceGroups/rg")
    made = stoa("role", "definition", "create", "--file", str(file), *scopes)
    assert made["assignableScopes"] == list(scopes[1:])


def test_what_is_shown_can_be_changed_and_given_back(stoa, tmp_path, world, subscription):
    file = tmp_path / "role.json"
    flat = {"Name": world.id("Role "), "Actions": ["*/read"], "AssignableScopes": [subscription]}
    file.write_text(json.dumps(flat))
    made = stoa("role", "definition", "create", "--file", str(file))
    made["description"], made["roleName"] = "Changed", world.id("Renamed ")
    file.write_text(json.dumps(made))
    command = ("role", "definition", "update", "--file", str(file))
    would = stoa(*command, "--validate-only")
    assert would["description"] == "Changed"
    changed = stoa(*command, "--etag", made["etag"])
    assert (changed["roleName"], changed["description"]) == (made["roleName"], "Changed")
    code, said = stoa.refused(*command, "--etag", made["etag"])
    assert code == 5, said
    code, _, said = stoa.run("role", "definition", "delete", "--name", changed["roleName"], "-y")
    assert code == 0, said
    code, _ = stoa.refused("role", "definition", "show", "--name", changed["roleName"])
    assert code == 3


def test_an_author_is_warned(stoa, tmp_path, world, subscription, capsys):
    file = tmp_path / "role.json"
    flat = {
        "Name": world.id("Role "),
        "Actions": ["*", "Microsoft.Network/*"],
        "AssignableScopes": [subscription],
    }
    file.write_text(json.dumps(flat))
    assert run(("role", "definition", "create", "--file", str(file))) == 0
    said = capsys.readouterr().err
    assert "warning: * also lets galleries be shared" in said
    assert "warning: * also lets roles be given to others" in said
    assert "warning: Microsoft.Network/* matches no action here" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no role"),
        ('{"Name": "x", "IsCustom": false}', "holds a built-in role"),
        ('{"roleName": "x", "roleType": "BuiltInRole"}', "holds a built-in role"),
        ('{"Name": "x", "Actions": "*"}', "actions is a list of texts"),
        ('{"Name": 5}', "name is a text"),
        ('{"permissions": {}}', "permissions is a list of objects"),
        ('{"permissions": [{"condition": "x"}]}', "conditions of permissions"),
    ],
)
def test_what_is_no_custom_role_is_refused_before_anything_is_asked(stoa, tmp_path, text, why):
    file = tmp_path / "role.json"
    file.write_text(text)
    code, said = stoa.refused("role", "definition", "create", "--file", str(file))
    assert code == 2
    assert why in said


def test_a_file_that_is_not_there_is_told(stoa, tmp_path):
    code, said = stoa.refused("role", "definition", "create", "--file", str(tmp_path / "none"))
    assert code == 2
    assert "cannot be read" in said
