"""Whether what should hold after changes would, judged on what they would change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from services.policy.findings import Finding, Whom
from services.policy.index import PolicyIndex
from services.policy.matching import PermissionMatcher
from services.policy.model import Plane
from services.policy.scopes import Scope


@dataclass(frozen=True, slots=True)
class NoNewAccess:
    """Nobody can do what they could not do before."""


@dataclass(frozen=True, slots=True)
class NoPublicAccess:
    """Nothing becomes readable by the community."""


@dataclass(frozen=True, slots=True)
class NotGranted:
    """None of some actions, folded, is granted at a scope or below it; `subject` to them alone."""

    actions: tuple[str, ...]
    scope: Scope
    plane: Plane
    subject: str | None = None


Assertion = NoNewAccess | NoPublicAccess | NotGranted


def against(
    assertion: Assertion, findings: Iterable[Finding], after: PolicyIndex
) -> Iterator[Finding]:
    """Answer the findings that an assertion does not hold by; `after` is the policy then."""
    for one in findings:
        match assertion:
            case NoNewAccess():
                fails = one.gained
            case NoPublicAccess():
                fails = one.is_public
            case NotGranted():
                fails = one.gained and _grants(assertion, one, after)
            case _:
                assert_never(assertion)
        if fails:
            yield one


def _grants(assertion: NotGranted, one: Finding, after: PolicyIndex) -> bool:
    matcher = PermissionMatcher((one.permissions,))
    return (
        any(matcher.permits(action, assertion.plane) for action in assertion.actions)
        and _overlaps(assertion.scope, Scope.parse(one.scope), after)
        and (assertion.subject is None or _is_meant(assertion.subject, one, after))
    )


def _overlaps(scope: Scope, other: Scope, after: PolicyIndex) -> bool:
    """Whether one of two scopes lies at or below the other."""
    chains = (after.directory.chain(scope), after.directory.chain(other))
    return scope.key in chains[1] or other.key in chains[0]


def _is_meant(subject: str, one: Finding, after: PolicyIndex) -> bool:
    """Whether a finding is about a subject; who may read views somewhere is taken for meant."""
    if one.whom is Whom.PRINCIPAL:
        return one.who == subject or one.who in after.directory.identities(subject)
    return True
