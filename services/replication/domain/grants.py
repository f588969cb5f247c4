"""Operation grants: what the catalog decided, in a form that nobody else can make.

A grant is a JWS in compact form, `alg` ES256, `typ` `stoa-grant+jwt`, whose claims are

    iss         "catalog"
    aud         "replication"
    iat, exp    seconds since 1970, at most 600 apart
    sub         the principal that the work is done for, `tenants/{t}/users/{id}` or
                `tenants/{t}/servicePrincipals/{id}`, or `workloads/catalog` for what the catalog
                does by itself
    others      the same caller's principals in other tenants; may be left out
    action      the action that was decided, "Microsoft.Compute/galleries/images/versions/write"
    version     the name of the version
    uid         its uid
    generation  an integer
    sources     disk key ("os" or the LUN in decimal) to `DiskSource.identity()` followed by "#"
                and the admitted root digest in hexadecimal, which may be empty
    demands     [[action, scope], ...]: what the subject has to hold for the work to go on
    decision    the id of the recorded decision
    revision    the revision of the policy at which it was made
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.kernel.errors import PermissionDenied
from services.kernel.names import key
from services.replication.domain.desired import DesiredReplicas

ISSUER: Final = "catalog"
AUDIENCE: Final = "replication"
KIND: Final = "stoa-grant+jwt"
MAX_LIFE: Final = 600
CATALOG_ITSELF: Final = "workloads/catalog"


@dataclass(frozen=True, slots=True)
class Demand:
    """An action that the subject of a grant has to hold at a scope."""

    action: str
    scope: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A verified grant, as it is stored."""

    subject: str
    action: str
    version: str
    uid: str
    generation: int
    decision: str = ""
    revision: int = 0
    sources: Mapping[str, str] = field(default_factory=dict)
    demands: tuple[Demand, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def is_of_catalog(self) -> bool:
        """Whether the catalog acts for itself, as at the end of a retention."""
        return self.subject == CATALOG_ITSELF


def invalid(cause: str, message: str) -> PermissionDenied:
    """Build GRANT_INVALID; `cause` is `signature`, `malformed` or `expired`."""
    return PermissionDenied(message, reason="GRANT_INVALID", metadata={"cause": cause})


def require_fit(grant: Grant, desired: DesiredReplicas) -> None:
    """Check that the grant is for exactly this work.

    Raises:
        PermissionDenied: GRANT_MISMATCH, with the claim that differs.
    """
    sources = {one.disk: f"{one.source.identity()}#{one.root}" for one in desired.disks}
    expected: dict[str, tuple[object, object]] = {
        "uid": (grant.uid, desired.uid),
        "version": (key(grant.version), key(desired.version)),
        "generation": (grant.generation, desired.generation),
        "sources": (dict(grant.sources), sources),
    }
    for claim, (granted, wanted) in expected.items():
        if granted != wanted:
            raise mismatch(claim)


def mismatch(claim: str) -> PermissionDenied:
    """Build GRANT_MISMATCH."""
    return PermissionDenied(
        f"the operation grant is for another {claim}",
        reason="GRANT_MISMATCH",
        metadata={"claim": claim},
    )
