"""Why, who and what: the commands that ask about access."""

import pytest

from cli.installation.identity import make_token

WRITE = "Microsoft.Compute/galleries/write"


@pytest.fixture
def subscription(world):
    return world.subscription()


@pytest.fixture
def as_user(stoa, world, authz, tmp_path):
    """A user, and the command as them, whose output is text."""
    name = world.user()
    token = tmp_path / "token"
    token.write_text(make_token(authz.layout, subject=name.rpartition("/")[2], tenant="default"))

    def run(*args, output="table"):
        code, out, err = stoa.run(*args, "--token-file", str(token), "-o", output)
        assert code == 0, err
        return out

    return name, run


def test_an_allowance_names_the_role_the_scope_and_the_groups(world, as_user, subscription):
    user, me = as_user
    inner = world.group(user)
    outer = world.group(inner)
    world.assign(outer, "Contributor", subscription)
    said = me("explain", "galleries/write", "--scope", f"{subscription}/resourceGroups/rg")
    own_id = user.rpartition("/")[2]
    assert said.splitlines()[0] == (
        f"Yes: {own_id} may {WRITE} at {subscription}/resourceGroups/rg."
    )
    way = f"{inner.rpartition('/')[2]} in {outer.rpartition('/')[2]}"
    assert f"  Allowed by Contributor at {subscription} through {way}." in said.splitlines()
    assert "Missing" not in said


def test_a_denial_says_what_is_missing_and_who_could_give_it(world, as_user, subscription):
    user, me = as_user
    world.assign(user, "Reader", subscription)
    said = me("explain", WRITE, "--scope", subscription)
    assert said.startswith("No: ")
    assert f"  Reader at {subscription}: it does not have the action." in said
    assert "Missing: a role with the action, such as " in said
    assert "Contributor" in said
    assert "Who could give it: " in said
    assert "users/owner" in said


def test_what_may_not_be_read_is_counted(world, as_user, subscription):
    user, me = as_user
    world.assign(user, "roleDefinitions/cf7c76d2-98a3-4358-a134-615aa78bf44d", subscription)
    said = me("explain", "galleries/write", "--scope", subscription)
    assert "Not shown: one assignment at scopes where you may not read them." in said
    assert "Who could give it is told to those who may read role assignments there." in said
    assert "Image Reader at" not in said


def test_who_holds_nothing_is_told_so(as_user, subscription):
    _, me = as_user
    assert "  Nothing is held there or above." in me("explain", WRITE, "--scope", subscription)


def test_a_decision_is_explained_by_its_id(stoa, world, as_user, subscription):
    user, me = as_user
    first = stoa("explain", WRITE, "--scope", subscription, "--assignee", user)
    made = first["decision"]["decisionId"]
    assert first["decision"]["reason"] == "DECISION_REASON_NO_MATCHING_GRANT"
    world.assign(user, "Contributor", subscription)
    said = me("explain", "--decision-id", made)
    assert said.startswith("No: ")
    assert f"Decision {made}, at revision {first['decision']['revision']}." in said
    assert me("explain", WRITE, "--scope", subscription).startswith("Yes: ")


@pytest.mark.parametrize("given", [(), (WRITE, "--decision-id", "x")])
def test_either_an_action_or_a_decision_is_explained(stoa, given):
    code, said = stoa.refused("explain", *given)
    assert code == 2
    assert "--decision-id" in said


def test_who_can_lists_each_grant(stoa, world, subscription):
    user = world.user()
    group = world.group(user)
    world.assign(group, "Contributor", subscription)
    rows = stoa.table("who-can", "galleries/write", "--scope", f"{subscription}/resourceGroups/rg")
    found = {row[0]: row[1:] for row in rows}
    assert found[group][:3] == ["", subscription, "Role assignment"]
    assert user not in found
    rows = stoa.table("who-can", WRITE, "--scope", subscription, "--expand-groups")
    found = {row[0]: row[1:] for row in rows}
    assert found[user][:2] == [group.rpartition("/")[2], subscription]
    assert len(stoa("who-can", WRITE, "--scope", subscription, "--max-items", "1")) == 1


def test_what_may_i_lists_where_or_what(world, as_user, subscription):
    user, me = as_user
    world.assign(user, "Contributor", f"{subscription}/resourceGroups/Images")
    where = me("what-may-i", "galleries/write", output="tsv")
    assert where == f"{subscription}/resourceGroups/Images\tthere and below\n"
    what = me("what-may-i", "--scope", f"{subscription}/resourceGroups/Images", output="tsv")
    assert WRITE in what.splitlines()
    assert "Microsoft.Compute/galleries/share/action" not in what.splitlines()
    assert me("what-may-i", "--scope", subscription, output="tsv") == ""


def test_what_another_may_is_asked_with_the_right_to_read_assignments(stoa, world, as_user):
    subscription, user = world.subscription(), world.user()
    world.assign(user, "Reader", subscription)
    found = stoa("what-may-i", "galleries/read", "--assignee", user, "--scope", subscription)
    assert [one["scope"] for one in found] == [subscription]
    name, _ = as_user
    stoa.user(name.rpartition("/")[2])
    code, _ = stoa.refused(
        "what-may-i", "galleries/read", "--assignee", user, "--scope", subscription
    )
    assert code == 4
