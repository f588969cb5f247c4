"""What an empty installation begins with."""

from dataclasses import dataclass

from services.authz.domain.names import root_of
from services.authz.domain.records import Principal
from services.authz.ports.policy import Command, PolicyStore, Unit
from services.authz.usecases import directory, principals, role_assignments
from services.authz.usecases.directory import NewSubscription
from services.authz.usecases.limits import Limits
from services.authz.usecases.principals import NewPrincipal
from services.authz.usecases.role_assignments import NewRoleAssignment
from services.kernel.names import ROOT
from services.kernel.violations import Violations
from services.policy.builtin_roles import INSTALLATION_OPERATOR, OWNER
from services.policy.model import PrincipalKind, RoleDefinition


@dataclass(frozen=True, slots=True)
class Seed:
    """The ids of the first tenant, subscription and owner; empty for none."""

    tenant: str
    subscription: str = ""
    owner: str = ""


def seed(store: PolicyStore, wanted: Seed) -> bool:
    """Write the seed into an empty policy, in one revision; answer whether it was written.

    A policy that has any revision is left as it is: what an administrator took away does not
    come back with the next start.
    """
    if not wanted.tenant:
        return False
    command = Command(method="bootstrap", resource=ROOT, caller_id="bootstrap")

    def write(unit: Unit) -> bool:
        # The head is locked: of two that start at once, the second finds what the first wrote.
        if unit.revision > 1:
            return False
        _write(unit, wanted)
        return True

    return store.write(command, write, lambda written: b"\1" if written else b"").reply == b"\1"


def _write(unit: Unit, wanted: Seed) -> None:
    tenant = directory.create_tenant(unit, f"tenants/{wanted.tenant}", wanted.tenant)
    if wanted.subscription:
        directory.create_subscription(
            unit,
            NewSubscription(
                name=f"subscriptions/{wanted.subscription}",
                display_name=wanted.subscription,
                tenant=tenant.name,
                tags={},
                parent=root_of(tenant.name),
            ),
        )
    if not wanted.owner:
        return
    owner = principals.create(
        unit,
        NewPrincipal(
            name=f"{tenant.name}/users/{wanted.owner}",
            kind=PrincipalKind.USER,
            display_name=wanted.owner,
            user_principal_name=f"{wanted.owner}@{wanted.tenant}",
        ),
        frozenset(),
    )
    give_owner(unit, owner, tenant.name)
    _give(unit, owner, ROOT, INSTALLATION_OPERATOR)


def give_owner(unit: Unit, owner: Principal, tenant: str) -> None:
    """Make a principal the owner of a tenant.

    At the tenant, which is above its root management group: the users and groups of a tenant
    lie below the one and not below the other.
    """
    _give(unit, owner, tenant, OWNER)


def _give(unit: Unit, principal: Principal, scope: str, role: RoleDefinition) -> None:
    new = NewRoleAssignment(
        scope=scope, principal=principal.name, role_definition=f"roleDefinitions/{role.id}"
    )
    role_assignments.create(unit, new, Limits(), Violations())
