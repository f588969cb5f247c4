"""The rights to what a request refers to, decided together with the right to its target."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.catalog.domain import names, reasons
from services.catalog.domain.desired import Authority
from services.catalog.ports.calls import Context, Subscriptions
from services.kernel.errors import NotFound, PermissionDenied
from services.kernel.ids import new_uid
from services.kernel.names import key
from services.kernel.violations import Violations


@dataclass(frozen=True, slots=True)
class Demand:
    """A right that a request needs because of one of its fields."""

    action: str
    scope: str
    field: str


def refuse_foreign(
    linked: Sequence[Demand], subscriptions: Subscriptions, violations: Violations
) -> None:
    """Refuse what leads to a subscription that this installation does not have.

    Nothing of it can be looked at, so everything that was found is told at once.

    Raises:
        InvalidArgument, FailedPrecondition: NOT_IN_INSTALLATION, with what was found before.
    """
    foreign = {
        (one.field, one.scope)
        for one in linked
        if subscriptions.find(key(names.subscription_of(one.scope))) is None
    }
    for field, name in sorted(foreign):
        violations.precondition(
            reasons.NOT_IN_INSTALLATION,
            field,
            f"{names.subscription_of(name)} is none of this installation",
            reason=reasons.NOT_IN_INSTALLATION,
            metadata={"resource": name},
        )
    if foreign:
        violations.raise_if_any()


def authorize(
    target: Demand,
    linked: Sequence[Demand],
    context: Context,
    *,
    absent: str = reasons.SOURCE_NOT_FOUND,
) -> None:
    """Demand the target and everything that the request refers to in one decision.

    Raises:
        PermissionDenied: LINKED_PERMISSION_DENIED for what is referred to,
            LINKED_TENANT_TOKEN_MISSING for what is in a tenant that the call has no token of.
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
        if error.reason == reasons.LINKED_TENANT_TOKEN_MISSING:
            abroad = next(one for one in demands if one.scope == found["resource"])
            raise PermissionDenied(
                error.message,
                reason=error.reason,
                metadata={"tenant": found["tenant"], "field": abroad.field},
            ) from error
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


def authority_of(context: Context, action: str, demands: tuple[Demand, ...]) -> Authority:
    """Record the decision of a call, for the grants that are signed from it."""
    subject, *others = context.access.principals
    return Authority(
        subject=subject,
        action=action,
        demands=tuple((one.action, one.scope) for one in demands),
        decision=new_uid(),
        revision=context.access.revision,
        others=tuple(others),
    )
