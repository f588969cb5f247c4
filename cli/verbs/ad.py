"""`stoa ad`: the directory of a tenant."""

from typing import Annotated

import typer
from stoa.authz.v1 import group_pb2, principal_pb2, service_principal_pb2, user_pb2
from stoa.authz.v1.directory_service_pb2_grpc import DirectoryServiceStub

from cli.connection import pages
from cli.invocation import current
from cli.lazy import ListCommand
from cli.output import Column, note
from cli.verbs.options import Filter, MaxItems, Yes
from cli.verbs.principals import Tenant, principal_name, tenant_name
from cli.verbs.words import last

app = typer.Typer(no_args_is_help=True)
user = typer.Typer(no_args_is_help=True, help="Users.")
group = typer.Typer(no_args_is_help=True, help="Groups.")
member = typer.Typer(no_args_is_help=True, help="Members of a group.")
sp = typer.Typer(no_args_is_help=True, help="Service principals.")
app.add_typer(user, name="user")
app.add_typer(group, name="group")
app.add_typer(sp, name="sp")
group.add_typer(member, name="member")

_USER_COLUMNS = (
    Column("Id", last("name")),
    Column("Display name", "displayName"),
    Column("Principal name", "userPrincipalName"),
)
_COLUMNS = (Column("Id", last("name")), Column("Display name", "displayName"))
_MEMBER_COLUMNS = (
    Column("Member", "member"),
    Column("Display name", "displayName"),
    Column("Indirect", "indirect"),
)

Id = Annotated[str, typer.Option("--id", help="Object id, or full name.")]
NewId = Annotated[str, typer.Option("--id", help="An object id. [default: a new UUID]")]
DisplayName = Annotated[str, typer.Option(help="The name shown.")]
ExternalIssuer = Annotated[
    str, typer.Option(help="The issuer at which they sign in, where it is another one.")
]
ExternalSubject = Annotated[str, typer.Option(help="Their `sub` in its tokens.")]
GroupOption = Annotated[str, typer.Option("--group", "-g", help="The group.")]
MemberIds = Annotated[list[str], typer.Option("--member-id", help="Principals ...")]
MemberKind = Annotated[
    str, typer.Option("--member-type", help="User, Group or ServicePrincipal, of an id.")
]


def _stub() -> DirectoryServiceStub:
    return current().connection.stub("authz", DirectoryServiceStub)


def _external(issuer: str, subject: str) -> principal_pb2.ExternalIdentity | None:
    if not issuer and not subject:
        return None
    return principal_pb2.ExternalIdentity(issuer=issuer, subject=subject)


@user.command(name="create")
def create_user(
    *,
    display_name: DisplayName,
    user_principal_name: Annotated[str, typer.Option(help="name@example.org")],
    object_id: NewId = "",
    external_issuer: ExternalIssuer = "",
    external_subject: ExternalSubject = "",
    tenant: Tenant = None,
) -> None:
    """Create a user.

    A token of the installation's issuer with this id as `sub` is then theirs, and one of another
    issuer with the external subject.
    """
    request = user_pb2.CreateUserRequest(
        parent=tenant_name(tenant),
        user_id=object_id,
        user=user_pb2.User(
            display_name=display_name,
            user_principal_name=user_principal_name,
            external_identity=_external(external_issuer, external_subject),
        ),
    )
    current().output.show(_stub().CreateUser(request), _USER_COLUMNS)


@user.command(name="show")
def show_user(*, object_id: Id, tenant: Tenant = None) -> None:
    """Show a user."""
    request = user_pb2.GetUserRequest(name=principal_name(object_id, "User", tenant))
    current().output.show(_stub().GetUser(request))


@user.command(name="list")
def list_users(*, filter: Filter = "", max_items: MaxItems = None, tenant: Tenant = None) -> None:
    """List the users of a tenant."""
    request = user_pb2.ListUsersRequest(parent=tenant_name(tenant), filter=filter)
    current().output.list(
        pages(_stub().ListUsers, request, "users", limit=max_items), _USER_COLUMNS
    )


@user.command(name="delete")
def delete_user(*, object_id: Id, yes: Yes = False, tenant: Tenant = None) -> None:
    """Delete a user with everything granted to them; the id is never given again."""
    name = principal_name(object_id, "User", tenant)
    current().confirm(f"Delete {name}?", yes=yes)
    _stub().DeleteUser(user_pb2.DeleteUserRequest(name=name, wait_for_replicas=True))
    note(f"Deleted {name}")


@group.command(name="create")
def create_group(
    *,
    display_name: DisplayName,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    object_id: NewId = "",
    tenant: Tenant = None,
) -> None:
    """Create a group."""
    request = group_pb2.CreateGroupRequest(
        parent=tenant_name(tenant),
        group_id=object_id,
        group=group_pb2.Group(display_name=display_name, description=description),
    )
    current().output.show(_stub().CreateGroup(request), _COLUMNS)


@group.command(name="show")
def show_group(*, object_id: GroupOption, tenant: Tenant = None) -> None:
    """Show a group."""
    request = group_pb2.GetGroupRequest(name=principal_name(object_id, "Group", tenant))
    current().output.show(_stub().GetGroup(request))


@group.command(name="list")
def list_groups(*, filter: Filter = "", max_items: MaxItems = None, tenant: Tenant = None) -> None:
    """List the groups of a tenant."""
    request = group_pb2.ListGroupsRequest(parent=tenant_name(tenant), filter=filter)
    current().output.list(pages(_stub().ListGroups, request, "groups", limit=max_items), _COLUMNS)


@group.command(name="delete")
def delete_group(*, object_id: GroupOption, yes: Yes = False, tenant: Tenant = None) -> None:
    """Delete a group with everything granted to it."""
    name = principal_name(object_id, "Group", tenant)
    current().confirm(f"Delete {name}?", yes=yes)
    _stub().DeleteGroup(group_pb2.DeleteGroupRequest(name=name, wait_for_replicas=True))
    note(f"Deleted {name}")


@member.command(name="add", cls=ListCommand)
def add_members(
    *,
    object_id: GroupOption,
    member_id: MemberIds,
    member_type: MemberKind = "User",
    tenant: Tenant = None,
) -> None:
    """Add users, groups or service principals to a group."""
    request = group_pb2.AddGroupMembersRequest(
        group=principal_name(object_id, "Group", tenant),
        members=[principal_name(one, member_type, tenant) for one in member_id],
    )
    current().output.show(_stub().AddGroupMembers(request))


@member.command(name="remove", cls=ListCommand)
def remove_members(
    *,
    object_id: GroupOption,
    member_id: MemberIds,
    member_type: MemberKind = "User",
    tenant: Tenant = None,
) -> None:
    """Take members out of a group; every serving process obeys before the command ends."""
    request = group_pb2.RemoveGroupMembersRequest(
        group=principal_name(object_id, "Group", tenant),
        members=[principal_name(one, member_type, tenant) for one in member_id],
        wait_for_replicas=True,
    )
    current().output.show(_stub().RemoveGroupMembers(request))


@member.command(name="list")
def list_members(
    *,
    object_id: GroupOption,
    transitive: Annotated[
        bool, typer.Option("--transitive", help="Members of groups inside as well.")
    ] = False,
    max_items: MaxItems = None,
    tenant: Tenant = None,
) -> None:
    """List the members of a group."""
    request = group_pb2.ListGroupMembersRequest(
        group=principal_name(object_id, "Group", tenant), transitive=transitive
    )
    found = pages(_stub().ListGroupMembers, request, "group_members", limit=max_items)
    current().output.list(found, _MEMBER_COLUMNS)


@sp.command(name="create")
def create_principal(
    *,
    display_name: DisplayName,
    object_id: NewId = "",
    external_issuer: ExternalIssuer = "",
    external_subject: ExternalSubject = "",
    tenant: Tenant = None,
) -> None:
    """Create a service principal: the identity of a program."""
    request = service_principal_pb2.CreateServicePrincipalRequest(
        parent=tenant_name(tenant),
        service_principal_id=object_id,
        service_principal=service_principal_pb2.ServicePrincipal(
            display_name=display_name,
            external_identity=_external(external_issuer, external_subject),
        ),
    )
    current().output.show(_stub().CreateServicePrincipal(request), _COLUMNS)


@sp.command(name="list")
def list_principals(
    *, filter: Filter = "", max_items: MaxItems = None, tenant: Tenant = None
) -> None:
    """List the service principals of a tenant."""
    request = service_principal_pb2.ListServicePrincipalsRequest(
        parent=tenant_name(tenant), filter=filter
    )
    found = pages(_stub().ListServicePrincipals, request, "service_principals", limit=max_items)
    current().output.list(found, _COLUMNS)
