"""Writes what is granted and forbidden, and takes it away."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from stoa.authz.v1 import (
    deny_assignment_pb2,
    eligible_assignment_pb2,
    permission_pb2,
    role_assignment_pb2,
    role_definition_pb2,
    scope_service_pb2,
)
from stoa.authz.v1 import deny_assignment_service_pb2 as deny_service
from stoa.authz.v1 import eligible_assignment_service_pb2 as eligible_service
from stoa.authz.v1 import role_assignment_service_pb2 as assignment_service
from stoa.authz.v1 import role_definition_service_pb2 as role_service

from services.policy.model import (
    EVERYONE,
    Activation,
    DenyAssignment,
    EligibleAssignment,
    Permissions,
    PrincipalKind,
    RoleAssignment,
    RoleDefinition,
)
from tests.unit.policy.oracle.worlds import lies_in
from tests.wire.authz.oracle.writing import ME, Writer, last, spelled, timestamp


class Grants:
    """What creates answers what was written; what takes away writes it into the world."""

    def __init__(self, by: Writer) -> None:
        self._by = by

    def role(self, record: RoleDefinition) -> RoleDefinition:
        found = role_definition_pb2.RoleDefinition(
            role_name=f"Role {uuid.uuid4()}",
            permissions=_permissions(record.permissions),
            assignable_scopes=[self._by.random.choice(("tenants/t", "tenants/t1"))],
        )
        if record.id in self._by.world.roles:
            found.name = f"roleDefinitions/{record.id}"
            self._by.owner.roles.UpdateRoleDefinition(
                role_service.UpdateRoleDefinitionRequest(
                    role_definition=found, update_mask=FieldMask(paths=["permissions"])
                )
            )
            return record
        made = self._by.owner.roles.CreateRoleDefinition(
            role_service.CreateRoleDefinitionRequest(role_definition=found)
        )
        return replace(record, id=last(made.name))

    def assignment(self, record: RoleAssignment) -> RoleAssignment:
        made = self._by.owner.assignments.CreateRoleAssignment(
            assignment_service.CreateRoleAssignmentRequest(
                parent=self._by.sent(record.scope),
                role_assignment=role_assignment_pb2.RoleAssignment(
                    principal=spelled(record.principal),
                    role_definition=f"roleDefinitions/{record.role}",
                    start_time=timestamp(record.start),
                    end_time=timestamp(record.end),
                    condition=record.condition,
                ),
            )
        )
        return replace(record, name=made.name.lower())

    def deny(self, record: DenyAssignment) -> DenyAssignment:
        """Never for the owner, who has to go on writing."""
        record = replace(record, exclude_principals=record.exclude_principals | {ME})
        made = self._by.owner.denies.CreateDenyAssignment(
            deny_service.CreateDenyAssignmentRequest(
                parent=self._by.sent(record.scope),
                deny_assignment=deny_assignment_pb2.DenyAssignment(
                    display_name="No",
                    permissions=_permissions(record.permissions),
                    principals=sorted(map(spelled, record.principals - {EVERYONE})),
                    everyone=EVERYONE in record.principals,
                    exclude_principals=sorted(map(spelled, record.exclude_principals)),
                    do_not_apply_to_child_scopes=record.do_not_apply_to_child_scopes,
                ),
            )
        )
        return replace(record, name=made.name.lower())

    def eligible(self, record: EligibleAssignment) -> EligibleAssignment:
        made = self._by.owner.eligible.CreateEligibleAssignment(
            eligible_service.CreateEligibleAssignmentRequest(
                parent=self._by.sent(record.scope),
                eligible_assignment=eligible_assignment_pb2.EligibleAssignment(
                    principal=spelled(record.principal),
                    role_definition=f"roleDefinitions/{record.role}",
                    start_time=timestamp(record.start),
                    end_time=timestamp(record.end),
                    condition=record.condition,
                ),
            )
        )
        return replace(record, name=made.name.lower(), activations=())

    def activate(self, held: EligibleAssignment) -> None:
        """Let somebody who is entitled, or is not, take the role, or give it back."""
        callers = [
            key
            for key, one in self._by.world.principals.items()
            if one.kind is not PrincipalKind.GROUP and one.enabled and key != ME
        ]
        entitled = [one for one in callers if held.principal in self._by.world.holders(one)]
        who = self._by.random.choice(entitled * 3 + callers)
        tenant, _, subject = who.partition("/")[2].partition("/")
        stubs = self._by.installation.user(last(subject), tenant).eligible
        others = tuple(one for one in held.activations if one.principal != who)
        active = len(others) < len(held.activations)
        begun = datetime.now(UTC)

        def call() -> bool:
            if active:
                stubs.DeactivateEligibleAssignment(
                    eligible_service.DeactivateEligibleAssignmentRequest(name=spelled(held.name))
                )
            else:
                stubs.ActivateEligibleAssignment(
                    eligible_service.ActivateEligibleAssignmentRequest(
                        name=spelled(held.name),
                        justification="A question",
                        duration=Duration(seconds=3600),
                    )
                )
            return True

        try:
            done = self._by.attempt("deactivation" if active else "activation", call)
        except AssertionError:
            assert who not in entitled, (who, held)
            return
        if done:
            mine = Activation(who, begun, begun + timedelta(hours=1))
            self._by.world.put(replace(held, activations=others if active else (*others, mine)))

    def delete(self, held: RoleAssignment | DenyAssignment | EligibleAssignment) -> None:
        """Take away what is held."""
        name = spelled(held.name)

        def call() -> bool:
            if isinstance(held, RoleAssignment):
                self._by.owner.assignments.DeleteRoleAssignment(
                    assignment_service.DeleteRoleAssignmentRequest(name=name)
                )
            elif isinstance(held, DenyAssignment):
                self._by.owner.denies.DeleteDenyAssignment(
                    deny_service.DeleteDenyAssignmentRequest(name=name)
                )
            else:
                self._by.owner.eligible.DeleteEligibleAssignment(
                    eligible_service.DeleteEligibleAssignmentRequest(name=name)
                )
            return True

        if self._by.attempt(f"{type(held).__name__} deleted", call):
            world = self._by.world
            kinds: list[dict[str, Any]] = [world.assignments, world.denies, world.eligibles]
            for kind in kinds:
                kind.pop(held.name, None)

    def tombstone(self, scope: str, uid: str) -> None:
        """Tell of the end of a resource, twice: the second time means nothing."""
        request = scope_service_pb2.TombstoneScopeRequest(
            scope=self._by.sent(scope), resource_uid=uid
        )

        def call() -> bool:
            for _ in range(2):
                request.request_id = str(uuid.uuid4())
                self._by.catalog.scopes.TombstoneScope(request)
            return True

        if self._by.attempt("tombstone", call):
            self._by.world.forget(lambda held, revision: lies_in(held, scope))


def _permissions(united: tuple[Permissions, ...]) -> list[permission_pb2.Permission]:
    return [
        permission_pb2.Permission(
            actions=one.actions,
            not_actions=one.not_actions,
            data_actions=one.data_actions,
            not_data_actions=one.not_data_actions,
        )
        for one in united
    ]
