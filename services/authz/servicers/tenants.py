"""DirectoryService: tenants and management groups."""

import uuid
from typing import Final

from stoa.authz.v1 import management_group_pb2, tenant_pb2

from services.authz.convert import directory as convert
from services.authz.domain.records import ManagementGroup, Tenant
from services.authz.ports.policy import Facts, Unit
from services.authz.servicers.asking import asked, scope_of
from services.authz.servicers.directory_part import DirectoryPart, above, named, update_of
from services.authz.usecases import bootstrap, directory, directory_updates, principals
from services.authz.usecases.directory_updates import PARENT
from services.authz.usecases.finding import require_parent
from services.authz.usecases.listing import ListSpec, page_of
from services.kernel.filter import Kind
from services.kernel.names import fold, key
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call

_READ_TENANT: Final = "Stoa.Directory/tenants/read"
_READ_GROUP: Final = "Stoa.Directory/managementGroups/read"
_TENANTS: Final = ListSpec(Tenant, {"display_name": Kind.STRING})
_GROUPS: Final = ListSpec(
    ManagementGroup, {"display_name": Kind.STRING, "parent_management_group": Kind.STRING}
)


class Tenants(DirectoryPart):
    """Tenants and management groups."""

    def CreateTenant(self, request: tenant_pb2.CreateTenantRequest, call: Call) -> bytes:
        named(request.tenant, "tenant", call)
        owner = request.HasField("initial_owner")
        if owner:
            named(request.initial_owner, "initial_owner", call)
            named(request.initial_owner, "initial_owner", call, shown="user_principal_name")
        elif request.initial_owner_id:
            call.violations.add("initial_owner_id", "needs an initial_owner")
        call.violations.raise_if_any()
        name = f"tenants/{request.tenant_id or uuid.uuid4()}"

        def create(unit: Unit, _: Access) -> tenant_pb2.Tenant:
            made = directory.create_tenant(
                unit,
                name,
                request.tenant.display_name,
                convert.COMMUNITY[request.tenant.community_sharing],
            )
            if owner:
                user = f"{name}/users/{request.initial_owner_id or uuid.uuid4()}"
                new = convert.new_user(request.initial_owner, user)
                bootstrap.give_owner(unit, principals.create(unit, new, self._issuers), made.name)
            return convert.tenant(made)

        return self._context.write(call, request, create, resource=name)

    def GetTenant(self, request: tenant_pb2.GetTenantRequest, call: Call) -> tenant_pb2.Tenant:
        call.violations.raise_if_any()
        name = scope_of(call)
        if not _is_own(call, key(name)):
            call.access.require(_READ_TENANT, name)
        return convert.tenant(
            self._context.store.read(lambda facts: directory.get_tenant(facts, name))
        )

    def ListTenants(
        self, request: tenant_pb2.ListTenantsRequest, call: Call
    ) -> tenant_pb2.ListTenantsResponse:
        access = call.access
        found, token = page_of(
            self._context.store,
            self._context.tokens,
            asked(call, request),
            _TENANTS,
            violations=call.violations,
            visible=lambda one: _is_own(call, one.key) or access.allowed(_READ_TENANT, one.name),
        )
        return tenant_pb2.ListTenantsResponse(
            tenants=map(convert.tenant, found), next_page_token=token
        )

    def UpdateTenant(self, request: tenant_pb2.UpdateTenantRequest, call: Call) -> bytes:
        message = request.tenant
        asked_for = update_of(call, message, request.update_mask, convert.sent_tenant(message))

        def update(unit: Unit, access: Access) -> tenant_pb2.Tenant:
            return convert.tenant(
                directory_updates.update_tenant(
                    unit, asked_for, access=access, violations=call.violations
                )
            )

        return self._context.write(call, request, update)

    def DeleteTenant(self, request: tenant_pb2.DeleteTenantRequest, call: Call) -> bytes:
        name = scope_of(call)
        return self._delete(
            call, request, lambda unit, _: directory.delete_tenant(unit, name, request.etag)
        )

    def CreateManagementGroup(
        self, request: management_group_pb2.CreateManagementGroupRequest, call: Call
    ) -> bytes:
        named(request.management_group, "management_group", call)
        call.violations.raise_if_any()
        name = f"{request.parent}/managementGroups/{request.management_group_id}"
        upper = scope_of(call)

        def create(unit: Unit, _: Access) -> management_group_pb2.ManagementGroup:
            return convert.management_group(
                directory.create_management_group(
                    unit, name, request.management_group.display_name, upper
                )
            )

        return self._context.write(call, request, create, resource=name)

    def GetManagementGroup(
        self, request: management_group_pb2.GetManagementGroupRequest, call: Call
    ) -> management_group_pb2.ManagementGroup:
        call.violations.raise_if_any()
        name = scope_of(call)
        return convert.management_group(
            self._context.store.read(lambda facts: directory.get_management_group(facts, name))
        )

    def ListManagementGroups(
        self, request: management_group_pb2.ListManagementGroupsRequest, call: Call
    ) -> management_group_pb2.ListManagementGroupsResponse:
        access = call.access
        parent = scope_of(call)
        wild = call.scope is not None and call.scope.has_wildcard

        def check(facts: Facts) -> None:
            # To anybody else a tenant that is not there is one of which nothing may be read.
            if not wild and access.allowed(_READ_GROUP, parent):
                require_parent(facts, parent)

        found, token = page_of(
            self._context.store,
            self._context.tokens,
            asked(call, request),
            _GROUPS,
            violations=call.violations,
            within=() if wild else (("tenant_key", key(parent)),),
            visible=lambda one: access.allowed(_READ_GROUP, one.name),
            check=check,
        )
        return management_group_pb2.ListManagementGroupsResponse(
            management_groups=map(convert.management_group, found), next_page_token=token
        )

    def UpdateManagementGroup(
        self, request: management_group_pb2.UpdateManagementGroupRequest, call: Call
    ) -> bytes:
        message = request.management_group
        sent = convert.sent_management_group(message)
        sent[PARENT] = above(call, "management_group", sent[PARENT])
        asked_for = update_of(call, message, request.update_mask, sent)

        def update(unit: Unit, access: Access) -> management_group_pb2.ManagementGroup:
            return convert.management_group(
                directory_updates.update_management_group(
                    unit, asked_for, access=access, violations=call.violations
                )
            )

        return self._context.write(call, request, update)

    def DeleteManagementGroup(
        self, request: management_group_pb2.DeleteManagementGroupRequest, call: Call
    ) -> bytes:
        name = scope_of(call)
        return self._delete(
            call,
            request,
            lambda unit, _: directory.delete_management_group(unit, name, request.etag),
        )


def _is_own(call: Call, tenant_key: str) -> bool:
    callers = (call.caller, *call.caller.auxiliary)
    return any(tenant_key == f"tenants/{fold(one.tenant)}" for one in callers)
