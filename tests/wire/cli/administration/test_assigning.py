import pytest

from cli.installation.identity import make_token

CONDITION = (
    "@Request[Microsoft.Authorization/roleAssignments:PrincipalType] "
    "ForAnyOfAnyValues:StringEqualsIgnoreCase {'Group'}"
)


@pytest.fixture
def subscription(world):
    return world.subscription()


@pytest.fixture
def as_user(stoa, world, authz, tmp_path):
    """A user with an id, and the command as them."""
    name = world.user()
    own_id = name.rpartition("/")[2]
    token = tmp_path / "token"
    token.write_text(make_token(authz.layout, subject=own_id, tenant="default"))
    return own_id, lambda *args: stoa(*args, "--token-file", str(token))


def test_an_assignment_has_a_condition_and_a_window(stoa, world, subscription):
    made = stoa(
        *("role", "assignment", "create", "--assignee", world.user(), "--role", "Owner"),
        *("--scope", subscription, "--condition", CONDITION, "--condition-version", "2.0"),
        *("--start", "2031-01-31T08:00:00+01:00", "--end", "2032-01-01"),
    )
    assert made["condition"] == CONDITION
    assert made["conditionVersion"] == "2.0"
    assert made["startTime"] == "2031-01-31T07:00:00Z"
    assert made["endTime"] == "2032-01-01T00:00:00Z"
    code, said = stoa.refused(
        *("role", "assignment", "create", "--assignee", world.user(), "--role", "Owner"),
        *("--scope", subscription, "--condition", "ActionMatches{*}"),
    )
    assert code == 2
    assert "position 14" in said


def test_a_role_is_taken_and_given_back(stoa, as_user, subscription):
    own_id, me = as_user
    scope = ("--scope", subscription)
    made = stoa(
        *("role", "eligible", "create", "--assignee", own_id, "--role", "Reader", *scope),
        *("--max-duration", "1h30m", "--description", "on call"),
    )
    assert made["principal"] == f"tenants/default/users/{own_id}"
    assert made["maxActivationDuration"] == "5400s"
    assert made["justificationRequired"] is True
    own = ("--ids", made["name"].rpartition("/")[2], *scope)
    assert [one["name"] for one in me("role", "eligible", "list", *scope)] == [made["name"]]
    code, said = stoa.refused("role", "eligible", "activate", *own)
    assert code == 4, said
    held = me(
        *("role", "eligible", "activate", *own, "--duration", "45m"),
        *("--justification", "incident 7"),
    )
    assert held["justification"] == "incident 7"
    (shown,) = stoa("role", "eligible", "show", *own)["activations"]
    assert shown == held
    code, _, said = stoa.run("role", "eligible", "deactivate", *own, "--assignee", own_id)
    assert code == 0, said
    assert "activations" not in me("role", "eligible", "show", "--ids", made["name"])
    code, _, said = stoa.run("role", "eligible", "delete", *own, "--yes")
    assert code == 0, said
    assert stoa("role", "eligible", "list", *scope) == []


def test_a_role_may_be_taken_without_saying_why(stoa, as_user, subscription):
    own_id, me = as_user
    made = stoa(
        *("role", "eligible", "create", "--assignee", own_id, "--role", "Reader"),
        *("--scope", subscription, "--no-justification", "--end", "2032-01-01"),
    )
    assert "justificationRequired" not in made or made["justificationRequired"] is False
    me("role", "eligible", "activate", "--ids", made["name"])
    listed = stoa("role", "eligible", "list", "--scope", subscription, "--assignee", own_id)
    assert len(listed[0]["activations"]) == 1


def test_what_is_forbidden_is_made_listed_shown_and_deleted(stoa, world, subscription):
    user, group = world.user(), world.group()
    scope = ("--scope", subscription)
    made = stoa(
        *("deny", "create", "--name", "Keep images", *scope),
        *("--actions", "Microsoft.Compute/*/delete", "Microsoft.Compute/*/write"),
        *("--not-actions", "Microsoft.Compute/disks/*", "--everyone"),
        *("--exclude-principals", user, group, "--do-not-apply-to-child-scopes"),
    )
    assert made["displayName"] == "Keep images"
    assert made["permissions"] == [
        {
            "actions": ["Microsoft.Compute/*/delete", "Microsoft.Compute/*/write"],
            "notActions": ["Microsoft.Compute/disks/*"],
        }
    ]
    assert made["everyone"] is True
    assert made["excludePrincipals"] == [user, group]
    assert made["doNotApplyToChildScopes"] is True
    other = stoa(
        *("deny", "create", "-n", "Only this", *scope, "--actions", "*"),
        *("--principals", user.rpartition("/")[2]),
    )
    assert other["principals"] == [user]
    listed = stoa("deny", "list", *scope)
    assert {one["name"] for one in listed} == {made["name"], other["name"]}
    only = stoa("deny", "list", *scope, "--filter", "everyone = true")
    assert [one["name"] for one in only] == [made["name"]]
    own = ("--ids", made["name"].rpartition("/")[2], *scope)
    assert stoa("deny", "show", *own) == made
    code, _, said = stoa.run("deny", "delete", *own, "--yes")
    assert code == 0, said
    code, _ = stoa.refused("deny", "show", *own)
    assert code == 3


def test_tables_name_who_may_take_what_and_what_is_forbidden(stoa, world, subscription):
    user = world.user()
    stoa(
        "role",
        "eligible",
        "create",
        "--assignee",
        user,
        "--role",
        "Reader",
        "--scope",
        subscription,
    )
    stoa(
        *("deny", "create", "-n", "No", "--actions", "*/delete", "--scope", subscription),
        *("--principals", user),
    )
    for command, words in (
        (("role", "eligible"), (user, "28800s", "acdd72a7")),
        (("deny",), (user, "*/delete", "No")),
    ):
        code, out, said = stoa.run(*command, "list", "--scope", subscription, "-o", "table")
        assert code == 0, said
        assert [one for one in words if one not in out] == []


@pytest.mark.parametrize("text", ["", "h", "90", "1m1h", "1d", "-1h"])
def test_a_length_of_time_that_is_none_is_refused(stoa, text):
    code, said = stoa.refused(
        "role",
        "eligible",
        "activate",
        "--ids",
        "eligibleAssignments/x",
        f"--duration={text or ' '}",
    )
    assert code == 2
    assert "--duration 1h30m" in said
