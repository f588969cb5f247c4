import uuid

import pytest

from services.policy.actions import GALLERY, KNOWN, OWN, SOURCES, VIEWS
from services.policy.builtin_roles import (
    BUILT_IN_ROLES,
    BY_ID,
    COMPUTE_GALLERY_ARTIFACTS_PUBLISHER,
    COMPUTE_GALLERY_IMAGE_READER,
    COMPUTE_GALLERY_SHARING_ADMIN,
    CONTRIBUTOR,
    INSTALLATION_OPERATOR,
    OWNER,
    READER,
    ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR,
    STORAGE_ACCOUNT_CONTRIBUTOR,
    USER_ACCESS_ADMINISTRATOR,
    VIRTUAL_MACHINE_CONTRIBUTOR,
)
from services.policy.matching import matches, pattern_problem
from services.policy.model import RoleDefinition
from tests.unit.policy.worlds import GALLERY as A_GALLERY
from tests.unit.policy.worlds import ask, assign, world

COMPUTE = "Microsoft.Compute"
ASSIGN = "Microsoft.Authorization/roleAssignments/write"


def can(action: str, *roles: RoleDefinition, scope: str = A_GALLERY) -> bool:
    held = [assign(role.id, scope) for role in roles]
    return ask(world(*roles, *held), action, scope).allowed


def test_every_pattern_of_every_role_is_within_the_caps():
    for role in BUILT_IN_ROLES:
        (permissions,) = role.permissions
        for pattern in (*permissions.actions, *permissions.not_actions):
            assert pattern_problem(pattern) is None
        assert permissions.data_actions == permissions.not_data_actions == ()
        assert role.assignable_scopes == ("/",)


def test_ids_are_distinct_lower_case_uuids():
    assert len(BY_ID) == len(BUILT_IN_ROLES) == 11
    assert all(str(uuid.UUID(role.id)) == role.id for role in BUILT_IN_ROLES)


@pytest.mark.parametrize("action", KNOWN.names())
def test_owner_can_do_everything(action):
    assert can(action, OWNER)


def test_contributor_cannot_share_and_with_the_sharing_admin_it_can():
    share = f"{COMPUTE}/galleries/share/action"
    assert not can(share, CONTRIBUTOR)
    assert can(share, CONTRIBUTOR, COMPUTE_GALLERY_SHARING_ADMIN)
    assert can(f"{COMPUTE}/galleries/write", CONTRIBUTOR)
    assert not can(ASSIGN, CONTRIBUTOR)
    assert can("Microsoft.Authorization/roleAssignments/read", CONTRIBUTOR)


@pytest.mark.parametrize("action", KNOWN.names())
def test_sharing_admin_can_share_and_nothing_else(action):
    assert can(action, COMPUTE_GALLERY_SHARING_ADMIN) is (
        action == f"{COMPUTE}/galleries/share/action"
    )


@pytest.mark.parametrize("action", KNOWN.names())
def test_image_reader_reads_definitions_and_versions_but_no_gallery(action):
    assert can(action, COMPUTE_GALLERY_IMAGE_READER) is (
        action in {f"{COMPUTE}/galleries/images/read", f"{COMPUTE}/galleries/images/versions/read"}
    )


@pytest.mark.parametrize("action", KNOWN.names())
def test_reader_reads_everything_and_nothing_more(action):
    assert can(action, READER) is action.endswith("/read")


def test_user_access_administrator_reads_everything_and_grants_but_cannot_share():
    assert all(
        can(action, USER_ACCESS_ADMINISTRATOR)
        for action in KNOWN.names()
        if action.endswith("/read")
    )
    assert can(ASSIGN, USER_ACCESS_ADMINISTRATOR)
    assert not can(f"{COMPUTE}/galleries/share/action", USER_ACCESS_ADMINISTRATOR)


def test_access_control_administrator_assigns_but_defines_no_role():
    assert can(ASSIGN, ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR)
    assert not can(
        "Microsoft.Authorization/roleDefinitions/write", ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR
    )


def test_publisher_creates_from_machines_and_disks_only():
    publisher = COMPUTE_GALLERY_ARTIFACTS_PUBLISHER
    assert can(f"{COMPUTE}/galleries/images/versions/write", publisher)
    assert can(f"{COMPUTE}/virtualMachines/write", publisher)
    assert can(f"{COMPUTE}/disks/write", publisher)
    assert can(f"{COMPUTE}/images/read", publisher)
    assert not can(f"{COMPUTE}/snapshots/write", publisher)
    assert not can("Microsoft.Storage/storageAccounts/listKeys/action", publisher)
    assert not can(f"{COMPUTE}/galleries/share/action", publisher)
    assert all(can(view, publisher) for view in VIEWS)


def test_storage_account_contributor_holds_both_rights_on_vhds():
    assert can("Microsoft.Storage/storageAccounts/write", STORAGE_ACCOUNT_CONTRIBUTOR)
    assert can("Microsoft.Storage/storageAccounts/listKeys/action", STORAGE_ACCOUNT_CONTRIBUTOR)


def test_machine_contributor_sees_views_but_no_private_version():
    assert all(can(view, VIRTUAL_MACHINE_CONTRIBUTOR) for view in VIEWS)
    assert not can(f"{COMPUTE}/galleries/images/versions/read", VIRTUAL_MACHINE_CONTRIBUTOR)
    assert not any(can(action, VIRTUAL_MACHINE_CONTRIBUTOR) for action in GALLERY)


def test_installation_operator_runs_the_installation_and_reads_no_images():
    assert all(can(action, INSTALLATION_OPERATOR, scope="/") for action in OWN)
    assert can(ASSIGN, INSTALLATION_OPERATOR, scope="/")
    assert not can(
        "Microsoft.Authorization/roleDefinitions/write", INSTALLATION_OPERATOR, scope="/"
    )
    for action in (*GALLERY, *VIEWS, *SOURCES):
        assert not can(action, INSTALLATION_OPERATOR, scope="/")


def test_subtracted_actions_of_contributor_are_those_of_the_original():
    (permissions,) = CONTRIBUTOR.permissions
    assert len(permissions.not_actions) == 11
    assert any(
        matches(pattern, "Microsoft.Authorization/elevateAccess/action")
        for pattern in permissions.not_actions
    )
