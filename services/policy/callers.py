"""Which principals a verified caller is, and which of them asks about a scope."""

from dataclasses import dataclass
from typing import Final

from services.kernel.errors import InvalidName
from services.kernel.names import fold
from services.kernel.rpc.access import Caller
from services.policy.authority import Subject
from services.policy.directory import Directory
from services.policy.model import Principal, PrincipalKind
from services.policy.scopes import Scope

#: How many callers are remembered with who they are.
_REMEMBERED: Final = 10_000
#: No principal has this key: it holds nothing, and nothing but a deny for everyone reaches it.
NOBODY: Final = ""
_COLLECTIONS: Final = {
    PrincipalKind.USER: "users",
    PrincipalKind.SERVICE_PRINCIPAL: "servicePrincipals",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """One of the principals that a caller proved to be.

    `key` is empty for one that the directory does not know, and `subject` is None where
    authz could not know it either: a workload, or a subject of another issuer. `name` is how
    others are told of it, empty where `subject` is None.
    """

    key: str
    tenant: str
    subject: Subject | None
    name: str = ""


class Callers:
    """Reads callers against a directory.

    `own_issuer` is the installation's: its tokens name principals by tenant and id. A token
    of any other issuer is known by the external identity of a principal, never by an id
    that it claims, which only the directory gives out. Without `own_issuer` every issuer is
    taken for the installation's.
    """

    def __init__(self, own_issuer: str = "") -> None:
        self._own_issuer: Final = own_issuer
        # A directory never changes, so what was read in it holds until another one is asked.
        self._known: tuple[Directory | None, dict[tuple[str, ...], Identity]] = (None, {})

    def identities(self, caller: Caller, directory: Directory) -> tuple[Identity, ...]:
        """Answer who the caller is: by their token, then by those for other tenants."""
        return tuple(self._remembered(one, directory) for one in (caller, *caller.auxiliary))

    def _remembered(self, caller: Caller, directory: Directory) -> Identity:
        issuer = str(caller.claims.get("iss", self._own_issuer))
        key = (caller.tenant, caller.subject, caller.workload, issuer)
        of, known = self._known
        if of is not directory or len(known) >= _REMEMBERED:
            known = {}
            self._known = (directory, known)
        identity = known.get(key)
        if identity is None:
            identity = known[key] = self._identity(caller, issuer, directory)
        return identity

    def _identity(self, caller: Caller, issuer: str, directory: Directory) -> Identity:
        tenant = f"tenants/{fold(caller.tenant)}"
        if caller.is_workload:
            return Identity(NOBODY, tenant, None)
        if not self._own_issuer or issuer == self._own_issuer:
            found = directory.principal(caller.tenant, caller.subject)
            if found is None:
                # Authz may know somebody of whom this directory has not heard yet.
                # It is told of as a user: an id has one owner, whatever its kind.
                name = f"{tenant}/users/{caller.subject}"
                return Identity(NOBODY, tenant, Subject(tenant, caller.subject), name)
        else:
            found = directory.external_principal(issuer, caller.subject)
        return _known(found, tenant)


def _known(found: Principal | None, tenant: str) -> Identity:
    # A token is never a group's, and it speaks only for the tenant that it was accepted for.
    if found is None or found.kind is PrincipalKind.GROUP or not found.key.startswith(f"{tenant}/"):
        return Identity(NOBODY, tenant, None)
    object_id = found.key.rpartition("/")[2]
    name = f"{tenant}/{_COLLECTIONS[found.kind]}/{object_id}"
    return Identity(found.key, tenant, Subject(tenant, object_id), name)


def names(identities: tuple[Identity, ...]) -> tuple[str, ...]:
    """Answer the names of those that are somebody; see the kernel's `Access`."""
    return tuple(one.name for one in identities if one.name)


def asker(identities: tuple[Identity, ...], scope: str, directory: Directory) -> Identity:
    """Answer which identity asks about a scope: that in the scope's tenant, else the first.

    The first may hold an assignment in a tenant that is not theirs (DESIGN section 4).
    """
    if len(identities) == 1:
        return identities[0]
    try:
        tenant = directory.tenant_of(Scope.parse(scope))
    except InvalidName:
        # The decision says so.
        return identities[0]
    return next((one for one in identities if one.tenant == tenant), identities[0])


def without_token(
    identities: tuple[Identity, ...], scopes: tuple[str, ...], directory: Directory
) -> int | None:
    """Answer the first of `scopes` in whose tenant the caller proved nothing, None for none.

    Asked only where the scopes lie in several tenants: such a call carries a token for each.
    """
    tenants = [directory.tenant_of(Scope.parse(scope)) for scope in scopes]
    if len({tenant for tenant in tenants if tenant is not None}) < 2:
        return None
    proved = {one.tenant for one in identities}
    for item, tenant in enumerate(tenants):
        if tenant is not None and tenant not in proved:
            return item
    return None
