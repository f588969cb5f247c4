"""Users, groups and service principals: what they begin with, and what goes with them."""

from dataclasses import dataclass, replace

from services.authz.domain.records import Principal
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases.directory import refuse_used
from services.authz.usecases.finding import found, parent_not_found
from services.authz.usecases.owners import owners_kept
from services.kernel.errors import AlreadyExists, FailedPrecondition
from services.kernel.etag import require_match
from services.kernel.ids import new_uid
from services.kernel.names import key, parent
from services.kernel.rpc.access import Access
from services.kernel.violations import Violations
from services.policy.model import PrincipalKind

TYPES = {
    PrincipalKind.USER: "User",
    PrincipalKind.GROUP: "Group",
    PrincipalKind.SERVICE_PRINCIPAL: "ServicePrincipal",
}
UNDENY = "Microsoft.Authorization/denyAssignments/delete"


@dataclass(frozen=True, slots=True)
class NewPrincipal:
    """What is asked for."""

    name: str
    kind: PrincipalKind
    display_name: str
    description: str = ""
    user_principal_name: str = ""
    issuer: str = ""
    subject: str = ""
    enabled: bool = True


def create(unit: Unit, new: NewPrincipal, trusted_issuers: frozenset[str]) -> Principal:
    """Create a principal, which holds nothing yet.

    Raises:
        NotFound: PARENT_NOT_FOUND.
        AlreadyExists: RESOURCE_EXISTS, ID_USED_BEFORE, USER_PRINCIPAL_NAME_TAKEN,
            EXTERNAL_IDENTITY_TAKEN.
        FailedPrecondition: ISSUER_NOT_TRUSTED.
    """
    facts = unit.facts
    tenant = facts.tenant(key(parent(new.name)))
    if tenant is None:
        raise parent_not_found(parent(new.name))
    last = new.name.rpartition("/")[2]
    same = facts.principal_with_id(tenant.key, last)
    if same is not None:
        raise AlreadyExists.of(f"stoa.dev/{TYPES[same.kind]}", same.name)
    refuse_used(facts, f"{tenant.key}/{key(last)}")
    _refuse_taken(facts, tenant.key, new)
    if new.issuer and new.issuer not in trusted_issuers:
        raise FailedPrecondition(
            f"tokens of {new.issuer} are not trusted here",
            reason="ISSUER_NOT_TRUSTED",
            metadata={"issuer": new.issuer},
        )
    made = Principal(
        name=new.name,
        kind=new.kind,
        display_name=new.display_name,
        uid=new_uid(),
        create_time=unit.now,
        update_time=unit.now,
        description=new.description,
        user_principal_name=new.user_principal_name,
        issuer=new.issuer,
        subject=new.subject,
        enabled=new.enabled,
    )
    unit.put(made)
    return made


def get(facts: Facts, name: str, kind: PrincipalKind) -> Principal:
    """Answer one principal of a kind.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
    """
    return found(facts.principal(key(name)), TYPES[kind], name)


def delete(unit: Unit, name: str, kind: PrincipalKind, *, etag: str, access: Access) -> None:
    """Delete a principal with everything that it holds; its id is never given again.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: LAST_OWNER, LAST_EXCLUDED_PRINCIPAL.
        PermissionDenied: a group's deny assignment could not be taken back by the caller.
    """
    facts = unit.facts
    principal = get(facts, name, kind)
    require_match(etag, principal.version, uid=principal.uid, resource=principal.name)
    with owners_kept(unit):
        _leave_denies(unit, principal, access)
        for assignment in facts.assignments_of(principal.key):
            unit.remove(assignment)
        for eligible in facts.eligible_of(principal.key):
            unit.remove(eligible)
        unit.remove(principal)
        tenant_key = key(principal.tenant)
        unit.use_up(f"{tenant_key}/{principal.key.rpartition('/')[2]}")


def upn_taken(upn: str) -> AlreadyExists:
    """Build the error for a principal name that another user of the tenant has."""
    return AlreadyExists(
        f"another user has the principal name {upn}",
        reason="USER_PRINCIPAL_NAME_TAKEN",
        metadata={"user_principal_name": upn},
    )


def _refuse_taken(facts: Facts, tenant_key: str, new: NewPrincipal) -> None:
    upn = new.user_principal_name
    if upn and facts.user_called(tenant_key, upn) is not None:
        raise upn_taken(upn)
    if new.issuer and facts.principal_known_as(new.issuer, new.subject) is not None:
        raise AlreadyExists(
            f"another principal has this identity at {new.issuer}",
            reason="EXTERNAL_IDENTITY_TAKEN",
            metadata={"issuer": new.issuer},
        )


def _leave_denies(unit: Unit, principal: Principal, access: Access) -> None:
    violations = Violations()
    for deny in unit.facts.denies_naming(principal.key):
        named = tuple(one for one in deny.principals if key(one) != principal.key)
        excluded = tuple(one for one in deny.exclude_principals if key(one) != principal.key)
        if principal.kind is PrincipalKind.GROUP and named != deny.principals:
            access.require(UNDENY, deny.scope)
        if deny.everyone and not excluded:
            violations.precondition(
                "LAST_EXCLUDED_PRINCIPAL",
                deny.name,
                f"{deny.name} would be left with nobody who could take it back",
                reason="LAST_EXCLUDED_PRINCIPAL",
                metadata={"deny_assignment": deny.name},
            )
        elif not deny.everyone and not named:
            unit.remove(deny)
        else:
            unit.put(
                replace(
                    deny, principals=named, exclude_principals=excluded, version=deny.version + 1
                )
            )
    violations.raise_if_any()
