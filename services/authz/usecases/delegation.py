"""What conditions see of an assignment that is made or taken back (authorization.md, case 80)."""

from services.authz.domain.names import PRINCIPAL
from services.kernel.errors import InvalidName
from services.kernel.names import Name, key, parent
from services.kernel.violations import Violations
from services.policy.conditions import (
    PRINCIPAL_ID,
    PRINCIPAL_TYPE,
    ROLE_ID,
    Attributes,
    problem_of,
)
from services.policy.index import PolicyIndex
from services.policy.model import PrincipalKind
from services.policy.scopes import Scope

CONDITION_INVALID = "CONDITION_INVALID"
_KINDS = {
    "user": PrincipalKind.USER,
    "group": PrincipalKind.GROUP,
    "service_principal": PrincipalKind.SERVICE_PRINCIPAL,
}


def attributes_of(
    index: PolicyIndex, action: str, scope: str, *, role: str, principal: str
) -> Attributes:
    """Answer the attributes of an assignment: names may be in any spelling.

    The id alone means a principal of the tenant that the scope is of: another tenant may have
    somebody with the same id, who is meant by the full name.
    """
    role_key = key(role)
    values: dict[str, tuple[str, ...]] = {ROLE_ID: (role_key, role_key.rpartition("/")[2])}
    try:
        name = PRINCIPAL.parse(principal)
    except InvalidName:
        return Attributes.of(action, values)
    values[PRINCIPAL_TYPE] = (_kind(name).value,)
    values[PRINCIPAL_ID] = (name.key,)
    if index.directory.tenant_of(Scope.parse(scope)) == parent(name.key):
        values[PRINCIPAL_ID] = (name.key, key(name.id))
    return Attributes.of(action, values)


def check_condition(text: str, field: str, violations: Violations) -> None:
    """Record that a condition cannot be read, and where it begins to be wrong."""
    problem = problem_of(text) if text else None
    if problem is not None:
        violations.add(
            field,
            str(problem),
            reason=CONDITION_INVALID,
            metadata={"position": str(problem.position)},
        )


def _kind(name: Name) -> PrincipalKind:
    return next(kind for variable, kind in _KINDS.items() if variable in name.ids)
