"""The rights to what a request refers to, decided together with the right to its target."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.catalog.domain import reasons
from services.catalog.ports.calls import Context
from services.kernel.errors import NotFound, PermissionDenied


@dataclass(frozen=True, slots=True)
class Demand:
    """A right that a request needs because of one of its fields."""

    action: str
    scope: str
    field: str


def authorize(
    target: Demand,
    linked: Sequence[Demand],
    context: Context,
    *,
    absent: str = reasons.SOURCE_NOT_FOUND,
) -> None:
    """Demand the target and everything that the request refers to in one decision.

    Raises:
        PermissionDenied: LINKED_PERMISSION_DENIED for what is referred to.
        NotFound: `absent`, for a view of what is not shared with the caller.
    """
    demands = [target, *linked]
    try:
        context.access.require_all([(one.action, one.scope, one.field) for one in demands])
    except NotFound as error:
        name = error.metadata.get("resource", "")
        raise NotFound(
            error.message,
            reason=absent,
            metadata={"resource": name},
            resource=error.resource,
        ) from error
    except PermissionDenied as error:
        found = error.metadata
        at_fault = next(
            (
                one
                for one in linked
                if (one.action, one.scope) == (found.get("permission"), found.get("resource"))
            ),
            None,
        )
        if at_fault is None:
            raise
        raise PermissionDenied(
            error.message,
            reason=reasons.LINKED_PERMISSION_DENIED,
            metadata={**found, "field": at_fault.field},
            resource=error.resource,
        ) from error
