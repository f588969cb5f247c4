"""How many of a thing there may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from services.authz.domain.names import subscription_of
from services.kernel.errors import QuotaViolation, ResourceExhausted
from services.kernel.names import key


@dataclass(frozen=True, slots=True)
class ScopeLimit:
    """The most in a subscription with all below it, and at one scope above subscriptions."""

    subscription: int
    above: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an installation."""

    role_assignments: ScopeLimit = ScopeLimit(4_000, 500)
    deny_assignments: ScopeLimit = ScopeLimit(2_000, 500)
    activations: int = 1_000
    role_definitions: int = 5_000
    group_members: int = 100_000
    group_nesting: int = 64
    shared_subscriptions: int = 30
    shared_tenants: int = 5
    blocked_consumers: int = 1_000


class Count(Protocol):
    """Counts what lies at a scope, and below it if so asked."""

    def __call__(self, scope_key: str, *, below: bool) -> int:
        """Answer the number."""


def refuse_at_limit(scope: str, limit: ScopeLimit, count: Count, *, reason: str, what: str) -> None:
    """Refuse one more where there are as many as there may be.

    Raises:
        ResourceExhausted: with `reason`.
    """
    subscription = subscription_of(scope)
    where = subscription or key(scope)
    most = limit.subscription if subscription else limit.above
    if count(where, below=subscription is not None) >= most:
        raise exhausted(where, most, reason=reason, what=what)


def exhausted(
    subject: str,
    limit: int,
    *,
    reason: str,
    what: str,
    kind: str = "scope",
    more: Mapping[str, str] | None = None,
) -> ResourceExhausted:
    """Build the error for a limit that is reached; `more` is what else its metadata tell."""
    text = f"{subject} has at most {limit} {what}"
    return ResourceExhausted(
        text,
        reason=reason,
        metadata={kind: subject, "limit": str(limit), **(more or {})},
        quota=(QuotaViolation(subject, text),),
    )
