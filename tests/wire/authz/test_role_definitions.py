import uuid

import grpc
import pytest
from stoa.authz.v1 import audit_service_pb2, role_definition_pb2, tenant_pb2
from stoa.authz.v1 import role_definition_service_pb2 as pb

from services.policy.builtin_roles import USER_ACCESS_ADMINISTRATOR
from tests.wire.authz.installation import ROLES, Installation, refused
from tests.wire.authz.roles import (
    GALLERY_READ,
    GALLERY_WRITE,
    WRITE_ROLES,
    allowed,
    create,
    delete,
    get,
    permission,
    role,
    update,
)

Code = grpc.StatusCode
Warned = role_definition_pb2.RoleDefinition.Warning
SHARE = "Microsoft.Compute/galleries/share/action"


@pytest.fixture(scope="module")
def authz(tmp_path_factory):
    """An installation of its own: some who are made here may do much at the installation."""
    found = Installation(tmp_path_factory.mktemp("own"))
    yield found
    found.close()


def administrator_everywhere(world):
    """Somebody who may write roles at every scope, whether or not it is there."""
    user = world.user()
    world.assign(user, f"roleDefinitions/{USER_ACCESS_ADMINISTRATOR.id}", "/")
    return world.called(user)


def listed(stubs, **more) -> list[str]:
    request = pb.ListRoleDefinitionsRequest(**more)
    found = []
    while True:
        page = stubs.roles.ListRoleDefinitions(request)
        found += [one.name for one in page.role_definitions]
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


def test_a_custom_role_grants_what_it_permits_where_it_is_assigned(world):
    user, subscription = world.user(), world.subscription()
    sent = role(
        world,
        subscription,
        description="Reads galleries and writes all of them but shares none",
        permissions=[permission("Microsoft.Compute/galleries/*", minus=[SHARE])],
    )
    made = create(world.owner, sent)
    assert made.type == role_definition_pb2.RoleDefinition.TYPE_CUSTOM
    assert made.tenant == "tenants/default"
    assert (made.role_name, made.description) == (sent.role_name, sent.description)
    assert made.permissions == sent.permissions
    assert list(made.assignable_scopes) == [subscription]
    assert made.create_time == made.update_time
    assert get(world.owner, made.name.upper().replace("ROLEDEFINITIONS", "roleDefinitions")) == made
    world.assign(user, made.name, f"{subscription}/resourceGroups/rg")
    scope = f"{subscription}/resourceGroups/rg/galleries/g"
    assert allowed(world.called(user), scope, GALLERY_READ)
    assert allowed(world.called(user), scope, "Microsoft.Compute/galleries/images/versions/write")
    assert not allowed(world.called(user), scope, SHARE)
    assert not allowed(world.called(user), subscription, GALLERY_READ)


def test_what_is_assigned_follows_a_change_of_its_role(world):
    user, subscription = world.user(), world.subscription()
    made = create(world.owner, role(world, subscription, actions=["*/read"]))
    world.assign(user, made.name, subscription)
    assert allowed(world.called(user), subscription, GALLERY_READ)
    made.permissions[0].actions[:] = [GALLERY_WRITE]
    changed = update(world.owner, made, "permissions", wait_for_replicas=True)
    assert changed.etag != made.etag
    assert changed.update_time.ToDatetime() > made.update_time.ToDatetime()
    assert not allowed(world.called(user), subscription, GALLERY_READ)
    assert allowed(world.called(user), subscription, GALLERY_WRITE)


def test_a_mask_says_what_changes_and_output_is_not_read(world):
    subscription = world.subscription()
    made = create(world.owner, role(world, subscription, description="as it was"))
    sent = role_definition_pb2.RoleDefinition(
        name=made.name, role_name=world.id("Another "), tenant="tenants/other", uid="0" * 32
    )
    renamed = update(world.owner, sent)
    assert renamed.role_name == sent.role_name
    assert renamed.description == "as it was"
    assert (renamed.tenant, renamed.uid) == (made.tenant, made.uid)
    cleared = update(world.owner, sent, "description")
    assert cleared.description == ""
    same = update(world.owner, sent, "description")
    assert same == cleared
    with refused(Code.INVALID_ARGUMENT) as refusal:
        update(world.owner, sent, "description", "colour")
    assert list(refusal.fields) == ["update_mask"]
    with refused(Code.INVALID_ARGUMENT) as refusal:
        update(world.owner, role_definition_pb2.RoleDefinition(name=made.name), "*")
    assert set(refusal.fields) == {
        f"role_definition.{one}" for one in ("role_name", "permissions", "assignable_scopes")
    }


def test_a_deleted_role_is_gone_and_its_name_is_free(world):
    made = create(world.owner, role(world, world.subscription()))
    delete(world.owner, made.name, etag=made.etag)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        get(world.owner, made.name)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        delete(world.owner, made.name)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        update(world.owner, made, "description")
    made.name = ""
    assert create(world.owner, made).role_name == made.role_name


def test_all_that_is_wrong_with_a_role_is_told_at_once(world):
    bad = permission("", "a" * 257, "*" * 9, "no spaces")
    message = role_definition_pb2.RoleDefinition(permissions=[bad, *[permission()] * 4])
    with refused(Code.INVALID_ARGUMENT) as refusal:
        create(world.owner, message, role_definition_id="x", request_id="y")
    assert {
        "role_definition_id",
        "request_id",
        "role_definition.role_name",
        "role_definition.permissions",
        "role_definition.permissions[0].actions[0]",
        "role_definition.permissions[0].actions[1]",
        "role_definition.permissions[0].actions[2]",
        "role_definition.permissions[0].actions[3]",
        "role_definition.assignable_scopes",
    } <= set(refusal.fields)


@pytest.mark.parametrize(
    "scope",
    ["/", "regions/east", "subscriptions/default/resourceGroups/a/galleries/g", "x", "tenants/-"],
)
def test_a_role_is_assignable_at_tenants_groups_and_subscriptions_alone(world, scope):
    with refused(Code.INVALID_ARGUMENT) as refusal:
        create(world.owner, role(world, "tenants/default", scope))
    assert "role_definition.assignable_scopes[1]" in refusal.fields


def test_scopes_are_told_apart_by_their_keys_and_one_is_a_management_group(world):
    root = "tenants/default/managementGroups/default"
    with refused(Code.INVALID_ARGUMENT) as refusal:
        create(world.owner, role(world, "tenants/default", "tenants/Default"))
    assert list(refusal.fields) == ["role_definition.assignable_scopes[1]"]
    with refused(Code.INVALID_ARGUMENT) as refusal:
        create(world.owner, role(world, root, root.replace("Groups/default", "groups/other")))
    assert list(refusal.fields) == ["role_definition"]
    assert create(world.owner, role(world, root, "tenants/default")).tenant == "tenants/default"


def test_the_scopes_of_a_role_are_there(world):
    stubs = administrator_everywhere(world)
    for scope in (
        "subscriptions/unknown",
        "subscriptions/unknown/resourceGroups/rg",
        "tenants/default/managementGroups/unknown",
    ):
        with refused(Code.NOT_FOUND, "PARENT_NOT_FOUND") as refusal:
            create(stubs, role(world, scope))
        assert refusal.info.metadata["resource"] == scope


def test_names_of_roles_are_unique_in_the_tenant_and_among_the_built_in_ones(world):
    subscription = world.subscription()
    made = create(world.owner, role(world, subscription))
    for taken in (made.role_name.upper(), "contributor"):
        with refused(Code.ALREADY_EXISTS, "ROLE_NAME_TAKEN") as refusal:
            create(world.owner, role(world, subscription, role_name=taken))
        assert refusal.info.metadata["role_name"] == taken
    other = create(world.owner, role(world, subscription))
    other.role_name = made.role_name
    with refused(Code.ALREADY_EXISTS, "ROLE_NAME_TAKEN"):
        update(world.owner, other, "role_name")
    made.role_name = made.role_name.upper()
    assert update(world.owner, made, "role_name").role_name == made.role_name


def test_an_id_is_given_once(world):
    chosen = str(uuid.uuid4())
    subscription = world.subscription()
    made = create(world.owner, role(world, subscription), role_definition_id=chosen)
    assert made.name == f"roleDefinitions/{chosen}"
    for taken in (chosen.upper(), ROLES["Reader"].rpartition("/")[2]):
        with refused(Code.ALREADY_EXISTS, "RESOURCE_EXISTS"):
            create(world.owner, role(world, subscription), role_definition_id=taken)


def test_a_repeated_call_answers_the_first_reply(world):
    subscription = world.subscription()
    asked = {"request_id": str(uuid.uuid4())}
    message = role(world, subscription)
    made = create(world.owner, message, **asked)
    assert create(world.owner, message, **asked) == made
    message.description = "another"
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        create(world.owner, message, **asked)
    made.description = "changed"
    asked["request_id"] = str(uuid.uuid4())
    changed = update(world.owner, made, "description", **asked)
    assert update(world.owner, made, "description", **asked) == changed
    asked["request_id"] = str(uuid.uuid4())
    assert delete(world.owner, made.name, **asked) == delete(world.owner, made.name, **asked)


def test_a_stale_etag_is_refused(world):
    made = create(world.owner, role(world, world.subscription()))
    stale = made.etag
    made.description = "newer"
    newer = update(world.owner, made, "description")
    made.description = "newest"
    with refused(Code.ABORTED, "ETAG_MISMATCH") as refusal:
        update(world.owner, made, "description")
    assert refusal.info.metadata["etag"] == newer.etag
    with refused(Code.ABORTED, "ETAG_MISMATCH"):
        delete(world.owner, made.name, etag=stale)


def test_what_is_only_validated_is_not_kept(world):
    made = create(world.owner, role(world, world.subscription()), validate_only=True)
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        get(world.owner, made.name)
    made = create(world.owner, role(world, world.subscription()))
    made.description = "would be"
    assert update(world.owner, made, "description", validate_only=True).description == "would be"
    assert get(world.owner, made.name).description == ""


def test_built_in_roles_stay_as_they_are(world):
    reader = get(world.owner, ROLES["Reader"])
    reader.description = "mine"
    for stubs in (world.owner, world.called(world.user())):
        with refused(Code.FAILED_PRECONDITION, "BUILT_IN_ROLE") as refusal:
            update(stubs, reader, "description")
        assert refusal.info.metadata["role_definition"] == ROLES["Reader"]
        with refused(Code.FAILED_PRECONDITION, "BUILT_IN_ROLE"):
            delete(stubs, ROLES["Reader"])


def test_a_role_has_its_scopes_in_one_tenant_for_ever(world):
    other = world.owner.directory.CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=world.id("tenant-"), tenant=tenant_pb2.Tenant(display_name="Another")
        )
    ).name
    stubs = administrator_everywhere(world)
    with refused(Code.INVALID_ARGUMENT) as refusal:
        create(stubs, role(world, world.subscription(), other))
    assert list(refusal.fields) == ["role_definition.assignable_scopes"]
    made = create(stubs, role(world, "tenants/default"))
    made.assignable_scopes[:] = [other]
    with refused(Code.INVALID_ARGUMENT):
        update(stubs, made, "assignable_scopes")
    same_name = create(stubs, role(world, other, role_name=made.role_name))
    assert same_name.tenant == other
    with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
        get(world.called(world.user()), same_name.name)


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        ("Microsoft.Compute/galleries/*", {Warned.KIND_GRANTS_SHARING}),
        ("*", {Warned.KIND_GRANTS_SHARING, Warned.KIND_GRANTS_ROLE_ASSIGNMENT}),
        ("Microsoft.Authorization/*/write", {Warned.KIND_GRANTS_ROLE_ASSIGNMENT}),
        (SHARE, set()),
        ("microsoft.compute/galleries/read", set()),
        ("Microsoft.Network/virtualNetworks/read", {Warned.KIND_MATCHES_NOTHING}),
    ],
)
def test_an_author_is_warned_of_what_a_pattern_does(world, pattern, kinds):
    made = create(world.owner, role(world, world.subscription(), actions=[pattern]))
    assert {one.kind for one in made.warnings} == kinds
    assert {one.pattern for one in made.warnings} <= {pattern}
    assert get(world.owner, made.name).warnings == made.warnings


def test_who_takes_sharing_out_again_is_not_warned(world):
    one = permission("*", minus=["*/share/action", "Microsoft.Authorization/*", "Nothing/*"])
    made = create(world.owner, role(world, world.subscription(), permissions=[one]))
    assert [(w.kind, w.pattern) for w in made.warnings] == [
        (Warned.KIND_MATCHES_NOTHING, "Nothing/*")
    ]
    assert not get(world.owner, ROLES["Owner"]).warnings


def test_a_role_is_read_where_it_can_be_assigned_and_nowhere_else(world):
    subscription, elsewhere = world.subscription(), world.subscription()
    made = create(world.owner, role(world, subscription))
    wide = create(world.owner, role(world, "tenants/default"))
    below, beside = world.user(), world.user()
    world.assign(below, "Reader", f"{subscription}/resourceGroups/rg")
    world.assign(beside, "Reader", elsewhere)
    for one in (made, wide):
        assert get(world.called(below), one.name) == one
        assert one.name in listed(world.called(below))
    assert get(world.called(beside), wide.name) == wide
    assert made.name not in listed(world.called(beside))
    for stubs in (world.called(beside), world.called(world.user())):
        for name in (made.name, f"roleDefinitions/{uuid.uuid4()}"):
            with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
                get(stubs, name)
            with refused(Code.NOT_FOUND, "RESOURCE_NOT_FOUND"):
                delete(stubs, name)
    with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED"):
        delete(world.called(below), made.name)


def test_a_role_that_may_not_be_read_cannot_be_assigned(world):
    subscription = world.subscription()
    made = create(world.owner, role(world, subscription))
    giver = create(
        world.owner,
        role(world, subscription, actions=["Microsoft.Authorization/roleAssignments/*"]),
    )
    user, other = world.user(), world.user()
    world.assign(user, giver.name, subscription)
    with refused(Code.NOT_FOUND, "ROLE_DEFINITION_NOT_FOUND"):
        world.called(user).assignments.CreateRoleAssignment(
            world.assignment(other, made.name, subscription)
        )
    world.called(user).assignments.CreateRoleAssignment(
        world.assignment(other, "Reader", subscription)
    )


def test_roles_are_filtered_and_ordered(world):
    subscription = world.subscription()
    first, second = (
        create(world.owner, role(world, subscription, role_name=f"{prefix} {subscription}"))
        for prefix in ("zz", "Aa")
    )
    sharer = create(world.owner, role(world, subscription, actions=[SHARE]))
    of_it = f'role_name:"{subscription}"'
    assert set(listed(world.owner, filter=of_it)) == {first.name, second.name}
    for size in (1, 50):
        by_name = listed(world.owner, filter=of_it, order_by="role_name desc", page_size=size)
        assert by_name == [first.name, second.name]
    custom = listed(world.owner, filter="type = CUSTOM", assignable_at=subscription)
    assert {first.name, second.name, sharer.name} <= set(custom)
    assert not set(custom) & set(ROLES.values())
    permits = listed(world.owner, filter=f'permits = "{SHARE.upper()}"', page_size=1)
    assert sharer.name in permits
    assert ROLES["Owner"] in permits
    assert not {first.name, ROLES["Contributor"], ROLES["Reader"]} & set(permits)
    not_permitting = listed(world.owner, filter=f'permits != "{SHARE}"')
    assert {first.name, ROLES["Contributor"]} <= set(not_permitting)
    assert not set(permits) & set(not_permitting)
    for wrong in ('permits = "*"', "permits = nothing", f'permits > "{SHARE}"', "tenant = x"):
        with refused(Code.INVALID_ARGUMENT) as refusal:
            listed(world.owner, filter=wrong)
        assert set(refusal.fields) == {"filter"}


def test_a_list_goes_on_after_a_role_that_is_gone(world):
    subscription = world.subscription()
    made = [
        create(world.owner, role(world, subscription, role_name=f"{n} {subscription}")).name
        for n in range(3)
    ]
    request = pb.ListRoleDefinitionsRequest(
        filter=f'role_name:"{subscription}"', order_by="role_name", page_size=2
    )
    page = world.owner.roles.ListRoleDefinitions(request)
    assert [one.name for one in page.role_definitions] == made[:2]
    delete(world.owner, made[1])
    request.page_token = page.next_page_token
    page = world.owner.roles.ListRoleDefinitions(request)
    assert [one.name for one in page.role_definitions] == made[2:]


def test_every_write_of_a_role_is_in_the_log_of_its_tenant(world):
    made = create(world.owner, role(world, world.subscription()))
    made.description = "changed"
    update(world.owner, made, "description")
    delete(world.owner, made.name)
    records = world.owner.audit.ListAuditRecords(
        audit_service_pb2.ListAuditRecordsRequest(
            parent="tenants/default",
            filter=f'resource = "{made.name}"',
            order_by="event_time",
        )
    ).audit_records
    assert [one.method.rpartition("/")[2] for one in records] == [
        "CreateRoleDefinition",
        "UpdateRoleDefinition",
        "DeleteRoleDefinition",
    ]
    assert {one.caller for one in records} == {"tenants/default/users/owner"}
    assert [one.action.rpartition("/")[2] for one in records] == ["write", "write", "delete"]
    assert all(one.name.startswith("tenants/default/auditRecords/") for one in records)


def test_writing_roles_needs_the_right_to(world):
    subscription = world.subscription()
    user = world.user()
    world.assign(user, "Contributor", subscription)
    made = create(world.owner, role(world, subscription, actions=[WRITE_ROLES]))
    stubs = world.called(user)
    for attempt in (
        lambda: create(stubs, role(world, subscription)),
        lambda: update(stubs, made, "description"),
        lambda: delete(stubs, made.name),
    ):
        with refused(Code.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            attempt()
        assert refusal.info.metadata["resource"] == subscription
    with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
        create(world.installation.nobody(), role(world, subscription))
    world.assign(user, made.name, subscription)
    assert create(stubs, role(world, subscription)).tenant == "tenants/default"
