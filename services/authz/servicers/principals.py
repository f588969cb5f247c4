"""DirectoryService: users, groups, members and service principals."""

import uuid
from collections.abc import Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from stoa.authz.v1 import group_pb2, service_principal_pb2, user_pb2

from services.authz.convert import directory as convert
from services.authz.convert.assignments import PRINCIPAL_TYPES
from services.authz.convert.times import timestamp
from services.authz.domain.names import COLLECTIONS
from services.authz.domain.records import Principal
from services.authz.ports.policy import Unit
from services.authz.servicers.asking import asked, scope_of
from services.authz.servicers.directory_part import DirectoryPart, named, update_of
from services.authz.usecases import members, membership_writes, principal_updates, principals
from services.authz.usecases.finding import require_parent
from services.authz.usecases.listing import ListSpec, page_of
from services.authz.usecases.principals import NewPrincipal
from services.kernel.filter import Comparison, Kind
from services.kernel.names import key
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call
from services.policy.model import PrincipalKind

M = TypeVar("M", bound=Message)

_EXTERNAL: Final = {
    "account_enabled": Kind.BOOLEAN,
    "external_identity.issuer": Kind.STRING,
    "external_identity.subject": Kind.STRING,
}
_USERS: Final = ListSpec(
    Principal,
    {"display_name": Kind.STRING, "user_principal_name": Kind.STRING, **_EXTERNAL},
    ("name", "display_name", "user_principal_name", "create_time"),
)
_GROUPS: Final = ListSpec(
    Principal,
    {"display_name": Kind.STRING, "member": Kind.STRING, "transitive_member": Kind.STRING},
)
_SERVICE_PRINCIPALS: Final = ListSpec(Principal, {"display_name": Kind.STRING, **_EXTERNAL})


class Principals(DirectoryPart):
    """Users, groups and service principals."""

    def CreateUser(self, request: user_pb2.CreateUserRequest, call: Call) -> bytes:
        named(request.user, "user", call)
        named(request.user, "user", call, shown="user_principal_name")
        name = _name(call, PrincipalKind.USER, request.user_id)
        return self._create(call, request, convert.new_user(request.user, name), convert.user)

    def GetUser(self, request: user_pb2.GetUserRequest, call: Call) -> user_pb2.User:
        return convert.user(self._own_or_readable(call, PrincipalKind.USER))

    def ListUsers(
        self, request: user_pb2.ListUsersRequest, call: Call
    ) -> user_pb2.ListUsersResponse:
        found, token = self._list(call, request, PrincipalKind.USER, _USERS)
        return user_pb2.ListUsersResponse(users=map(convert.user, found), next_page_token=token)

    def UpdateUser(self, request: user_pb2.UpdateUserRequest, call: Call) -> bytes:
        return self._update(
            call,
            request,
            request.user,
            PrincipalKind.USER,
            convert.user,
            wait=request.wait_for_replicas,
        )

    def DeleteUser(self, request: user_pb2.DeleteUserRequest, call: Call) -> bytes:
        return self._delete_principal(call, request, PrincipalKind.USER)

    def CreateGroup(self, request: group_pb2.CreateGroupRequest, call: Call) -> bytes:
        named(request.group, "group", call)
        name = _name(call, PrincipalKind.GROUP, request.group_id)
        return self._create(call, request, convert.new_group(request.group, name), convert.group)

    def GetGroup(self, request: group_pb2.GetGroupRequest, call: Call) -> group_pb2.Group:
        call.violations.raise_if_any()
        name = scope_of(call)
        store = self._context.store
        return convert.group(
            store.read(lambda facts: principals.get(facts, name, PrincipalKind.GROUP))
        )

    def ListGroups(
        self, request: group_pb2.ListGroupsRequest, call: Call
    ) -> group_pb2.ListGroupsResponse:
        found, token = self._list(call, request, PrincipalKind.GROUP, _GROUPS)
        return group_pb2.ListGroupsResponse(groups=map(convert.group, found), next_page_token=token)

    def UpdateGroup(self, request: group_pb2.UpdateGroupRequest, call: Call) -> bytes:
        return self._update(call, request, request.group, PrincipalKind.GROUP, convert.group)

    def DeleteGroup(self, request: group_pb2.DeleteGroupRequest, call: Call) -> bytes:
        return self._delete_principal(call, request, PrincipalKind.GROUP)

    def ListGroupMembers(
        self, request: group_pb2.ListGroupMembersRequest, call: Call
    ) -> group_pb2.ListGroupMembersResponse:
        context = self._context
        extra = f"transitive={request.transitive}"
        found, token = members.page_of(
            context.store,
            context.tokens,
            asked(call, request, extra=extra),
            call.violations,
            transitive=request.transitive,
        )
        return group_pb2.ListGroupMembersResponse(
            group_members=(
                group_pb2.GroupMember(
                    member=one.principal.name,
                    member_type=PRINCIPAL_TYPES[one.principal.kind],
                    display_name=one.principal.display_name,
                    create_time=timestamp(one.since) if one.since else None,
                    indirect=one.since is None,
                )
                for one in found
            ),
            next_page_token=token,
        )

    def AddGroupMembers(self, request: group_pb2.AddGroupMembersRequest, call: Call) -> bytes:
        group = scope_of(call)

        def add(unit: Unit, access: Access) -> group_pb2.AddGroupMembersResponse:
            added = membership_writes.add_members(
                unit,
                group,
                request.members,
                limits=self._limits,
                access=access,
                violations=call.violations,
            )
            return group_pb2.AddGroupMembersResponse(added_count=added)

        return self._context.write(call, request, add)

    def RemoveGroupMembers(self, request: group_pb2.RemoveGroupMembersRequest, call: Call) -> bytes:
        group = scope_of(call)

        def remove(unit: Unit, access: Access) -> group_pb2.RemoveGroupMembersResponse:
            removed = membership_writes.remove_members(
                unit, group, request.members, access=access, violations=call.violations
            )
            return group_pb2.RemoveGroupMembersResponse(removed_count=removed)

        return self._context.write(call, request, remove, wait=request.wait_for_replicas)

    def CreateServicePrincipal(
        self, request: service_principal_pb2.CreateServicePrincipalRequest, call: Call
    ) -> bytes:
        named(request.service_principal, "service_principal", call)
        name = _name(call, PrincipalKind.SERVICE_PRINCIPAL, request.service_principal_id)
        new = convert.new_service_principal(request.service_principal, name)
        return self._create(call, request, new, convert.service_principal)

    def GetServicePrincipal(
        self, request: service_principal_pb2.GetServicePrincipalRequest, call: Call
    ) -> service_principal_pb2.ServicePrincipal:
        return convert.service_principal(
            self._own_or_readable(call, PrincipalKind.SERVICE_PRINCIPAL)
        )

    def ListServicePrincipals(
        self, request: service_principal_pb2.ListServicePrincipalsRequest, call: Call
    ) -> service_principal_pb2.ListServicePrincipalsResponse:
        found, token = self._list(
            call, request, PrincipalKind.SERVICE_PRINCIPAL, _SERVICE_PRINCIPALS
        )
        return service_principal_pb2.ListServicePrincipalsResponse(
            service_principals=map(convert.service_principal, found), next_page_token=token
        )

    def UpdateServicePrincipal(
        self, request: service_principal_pb2.UpdateServicePrincipalRequest, call: Call
    ) -> bytes:
        return self._update(
            call,
            request,
            request.service_principal,
            PrincipalKind.SERVICE_PRINCIPAL,
            convert.service_principal,
            wait=request.wait_for_replicas,
        )

    def DeleteServicePrincipal(
        self, request: service_principal_pb2.DeleteServicePrincipalRequest, call: Call
    ) -> bytes:
        return self._delete_principal(call, request, PrincipalKind.SERVICE_PRINCIPAL)

    def _create(
        self,
        call: Call,
        request: Message,
        new: NewPrincipal,
        message_of: Callable[[Principal], Message],
    ) -> bytes:
        call.violations.raise_if_any()

        def create(unit: Unit, _: Access) -> Message:
            return message_of(principals.create(unit, new, self._issuers))

        return self._context.write(call, request, create, resource=new.name)

    def _update(  # noqa: PLR0917 - the parts of one call
        self,
        call: Call,
        request: Any,
        message: Any,
        kind: PrincipalKind,
        message_of: Callable[[Principal], Message],
        *,
        wait: bool = False,
    ) -> bytes:
        sent = convert.sent_principal(message)
        asked_for = update_of(call, message, request.update_mask, sent)

        def update(unit: Unit, _: Access) -> Message:
            return message_of(principal_updates.update(unit, asked_for, kind, call.violations))

        return self._context.write(call, request, update, wait=wait)

    def _own_or_readable(self, call: Call, kind: PrincipalKind) -> Principal:
        call.violations.raise_if_any()
        name = scope_of(call)
        context = self._context
        if key(name) not in context.control.principals_of(call.caller, context.current()):
            call.access.require(f"Stoa.Directory/{COLLECTIONS[kind]}/read", name)
        return context.store.read(lambda facts: principals.get(facts, name, kind))

    def _list(
        self, call: Call, request: Any, kind: PrincipalKind, spec: ListSpec[Principal]
    ) -> tuple[list[Principal], str]:
        context = self._context
        parent = scope_of(call)
        wild = call.scope is not None and call.scope.has_wildcard
        action = f"Stoa.Directory/{COLLECTIONS[kind]}/read"
        access = call.access
        directory = context.current().directory

        def expand(comparison: Comparison) -> tuple[str, tuple[str, ...]] | None:
            member = key(str(comparison.value))
            match comparison.field:
                case "member":
                    return "key", tuple(sorted(directory.groups_of.get(member) or ()))
                case "transitive_member":
                    return "key", tuple(sorted(directory.identities(member) - {member}))
                case _:
                    return None

        within = (("kind", kind.value),)
        return page_of(
            context.store,
            context.tokens,
            asked(call, request),
            spec,
            violations=call.violations,
            within=within if wild else (*within, ("tenant_key", key(parent))),
            expand=expand,
            visible=lambda one: not wild or access.allowed(action, one.name),
            check=lambda facts: None if wild else require_parent(facts, parent),
        )

    def _delete_principal(self, call: Call, request: Any, kind: PrincipalKind) -> bytes:
        name = scope_of(call)
        return self._delete(
            call,
            request,
            lambda unit, access: principals.delete(
                unit, name, kind, etag=request.etag, access=access
            ),
            wait=request.wait_for_replicas,
        )


def _name(call: Call, kind: PrincipalKind, id: str) -> str:
    return f"{scope_of(call)}/{COLLECTIONS[kind]}/{id or uuid.uuid4()}"
