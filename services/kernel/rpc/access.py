"""Who calls, and the port through which the kernel asks what they may do.

The kernel names no role and knows no policy: `services.policy` fulfils `AccessControl`.
"""

import enum
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

_NO_CLAIMS: Final[Mapping[str, Any]] = MappingProxyType({})


def _no_claims() -> Mapping[str, Any]:
    return _NO_CLAIMS


class Kind(enum.Enum):
    """What kind of work a method does: it selects the pool and how fresh the policy must be."""

    READ = "read"
    MUTATION = "mutation"
    WAIT = "wait"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified identity: either a subject of a tenant, or a workload, never both.

    `subject` is the immutable object id in `tenant`, or where the installation trusts another
    `issuer` than its own, what that one calls them; `workload` the last segment of the
    SPIFFE id of the certificate. `auxiliary` holds the same caller's identities in other
    tenants, for calls whose source and target lie in two of them. `expires` is when the token
    stops proving it, in seconds since 1970. Claims are never logged.
    """

    subject: str = ""
    tenant: str = ""
    workload: str = ""
    claims: Mapping[str, Any] = field(default_factory=_no_claims, repr=False, compare=False)
    auxiliary: tuple["Caller", ...] = ()
    expires: float = field(default=math.inf, compare=False)
    issuer: str = ""

    @property
    def is_workload(self) -> bool:
        """Whether a service calls, for itself."""
        return bool(self.workload)

    @property
    def id(self) -> str:
        """What tells callers apart, for example as the owner of an operation."""
        if self.workload:
            return f"workloads/{self.workload}"
        if self.issuer:
            # Two issuers may call two people the same, and in any characters.
            known_as = hashlib.sha256(f"{self.issuer} {self.subject}".encode()).hexdigest()[:32]
            return f"external/{self.tenant}/{known_as}"
        return f"{self.tenant}/{self.subject}"


class Access(Protocol):
    """What one caller may do, pinned at one revision of the policy."""

    @property
    def revision(self) -> int:
        """The revision at which everything here is decided."""

    @property
    def principals(self) -> tuple[str, ...]:
        """The names of the principals that the caller is, empty for a service.

        The token's own first, then those in other tenants, without any that nobody knows.
        """

    def require(self, action: str, scope: str) -> None:
        """Demand `action` at `scope`, a resource name in any spelling, or `/`.

        Raises:
            PermissionDenied: not held, or `scope` does not exist.
            Unavailable: it cannot be decided now.
        """

    def allowed(self, action: str, scope: str) -> bool:
        """Whether `require` would pass.

        Raises:
            Unavailable: it cannot be decided now.
        """

    def require_all(self, demands: Sequence[tuple[str, str, str]]) -> None:
        """Demand each (action, scope, request field) in one decision.

        Raises:
            PermissionDenied: names the first that is not held.
            Unavailable: it cannot be decided now.
        """


class AccessControl(Protocol):
    """Decides for every call of a server."""

    @property
    def revision(self) -> int:
        """The newest revision that this process holds; streams are checked again when it grows."""

    def begin(self, caller: Caller, kind: Kind, deadline: float, floor_token: str) -> Access:
        """Pin a policy that is fresh enough for one call.

        Args:
            caller: who calls.
            kind: a mutation needs a policy at least as new as the call (authorization.md 3,
                rule 2), everything else one within the staleness lease (rule 4).
            deadline: when the call ends, in seconds of `time.monotonic`.
            floor_token: the caller's consistency token, below which nothing may be decided
                (rule 3); empty when none was sent.

        Raises:
            Unavailable: no policy that is fresh enough can be had.
            InvalidArgument: the token is damaged or of another installation.
        """
