"""What every update shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from services.catalog.domain.resource import Resource
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import checks
from services.kernel.errors import NotFound
from services.kernel.etag import require_match
from services.kernel.field_mask import FieldTable
from services.kernel.names import Name
from services.kernel.violations import Violations

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Update:
    """A change of the fields of one resource.

    `sent` holds the values of the request by the first parts of their paths, None for what is
    not populated; `mask` the paths of the update mask.
    """

    name: Name
    etag: str
    mask: Sequence[str]
    sent: Mapping[str, Any]

    def with_defaults(self, defaults: Mapping[str, Any]) -> "Update":
        """Answer this with what a field means that the mask names and the request leaves unset."""
        meant = {
            path: value
            for path, value in defaults.items()
            if path in self.mask and self.sent[path] is None
        }
        return replace(self, sent={**self.sent, **meant}) if meant else self


def refuse_absent(
    update: Update, fields: FieldTable, violations: Violations, absent: NotFound
) -> NotFound:
    """Answer the error for an update of what is not there.

    Raises:
        InvalidArgument: the request alone shows that it is wrong, its mask too.
    """
    fields.check(update.mask, violations)
    violations.raise_if_any()
    return absent


def check_etag(sent: str, resource: Resource) -> None:
    """Compare the etag of a request.

    Raises:
        Aborted: ETAG_MISMATCH.
    """
    require_match(sent, resource.revision, uid=resource.uid, resource=resource.name)


def admit(tx: Tx, resource: Resource, etag: str, violations: Violations) -> None:
    """Let a change of a resource through, or refuse it.

    A wrong request is told first, with everything else that was found. What the state forbids
    means nothing to a caller who has seen another state: that is told before.

    Raises:
        InvalidArgument: the request is wrong.
        Aborted: OPERATION_IN_PROGRESS or ETAG_MISMATCH.
        FailedPrecondition: the state forbids the change.
    """
    if violations.fields:
        violations.raise_if_any()
    checks.not_going(tx, resource)
    check_etag(etag, resource)
    violations.raise_if_any()


def revised(resource: R, context: Context, **changes: Any) -> R:
    """Answer the resource after a change that a caller made now."""
    return replace(
        resource,
        **changes,
        revision=resource.revision + 1,
        policy_revision=context.access.revision,
        update_time=context.clock.now(),
    )
