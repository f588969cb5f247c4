"""What every Update shares."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from services.authz.domain.records import (
    ManagementGroup,
    Principal,
    RoleDefinition,
    Subscription,
    Tenant,
)
from services.authz.ports.policy import Unit
from services.authz.usecases.finding import found
from services.kernel.etag import require_match
from services.kernel.violations import Violations

R = TypeVar("R")
V = TypeVar("V", Tenant, ManagementGroup, Subscription, Principal, RoleDefinition)


@dataclass(frozen=True, slots=True)
class Update:
    """A change of the fields of one resource.

    `sent` holds the values of the request by the first parts of their paths, None for what is
    not populated; `mask` the paths of the update mask.
    """

    name: str
    mask: tuple[str, ...]
    sent: Mapping[str, Any]
    etag: str = ""


def present(record: R | None, type: str, name: str, violations: Violations) -> R:
    """Answer what is to be changed; a wrong request is told before that it is not there.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        NotFound: RESOURCE_NOT_FOUND.
    """
    if record is None:
        violations.raise_if_any()
    return found(record, type, name)


def required(
    resource: str, changes: Mapping[str, Any], fields: Iterable[str], violations: Violations
) -> None:
    """Record the fields that an Update would leave without a value."""
    for field in fields:
        if field in changes and not changes[field]:
            violations.add(f"{resource}.{field}", "is required")


def admit(asked: Update, before: V, violations: Violations) -> None:
    """Let a change through, or refuse it.

    A wrong request is told first. What the state forbids means nothing to a caller who has seen
    another state: that is told before.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: PROPERTY_CHANGE_NOT_ALLOWED.
    """
    if violations.fields:
        violations.raise_if_any()
    require_match(asked.etag, before.version, uid=before.uid, resource=before.name)
    violations.raise_if_any()


def revised(unit: Unit, before: V, after: V) -> V:
    """Write a record that has changed; one that has not stays as it is."""
    if after == before:
        return before
    after = replace(after, update_time=unit.now, version=before.version + 1)
    unit.put(after)
    return after
