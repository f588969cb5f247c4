"""Taking a role for a while, and giving it back (authorization.md, case 92)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.authz.domain.eligibility import Activation, EligibleAssignment
from services.authz.domain.names import PRINCIPAL
from services.authz.ports.policy import Unit
from services.authz.usecases import eligible_assignments
from services.authz.usecases.eligible_assignments import TYPE, WRITE, Person
from services.authz.usecases.finding import found
from services.authz.usecases.limits import Limits, exhausted
from services.kernel.errors import PermissionDenied
from services.kernel.names import key
from services.kernel.violations import Violations
from services.policy.access import LocalAccess

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an activation is asked for with; without a duration it lasts as long as it may."""

    name: str
    duration: timedelta | None = None
    justification: str = ""


def activate(
    unit: Unit, asked: Asked, person: Person, access: LocalAccess, *, limits: Limits
) -> Activation:
    """Take the role for a while, for the caller alone.

    Raises:
        PermissionDenied: the role is not for the caller to take.
        NotFound: RESOURCE_NOT_FOUND.
        FailedPrecondition: ELIGIBILITY_NOT_IN_FORCE, ACTIVATION_IN_FORCE, ACTIVATION_TOO_LONG,
            JUSTIFICATION_REQUIRED; all that hold at once.
        ResourceExhausted: ACTIVATION_LIMIT_EXCEEDED.
    """
    record = eligible_assignments.get(unit.facts, asked.name, person, access)
    own = person.entitled(record)
    principal = None if own is None else unit.facts.principal(own)
    if principal is None:
        raise PermissionDenied(
            f"{record.name} is for {record.principal} to activate",
            metadata={"permission": "", "resource": record.name},
        )
    _refuse_unmet(record, asked, principal.key, unit.now)
    if sum(unit.now < one.end_time for one in record.activations) >= limits.activations:
        raise exhausted(
            record.name,
            limits.activations,
            reason="ACTIVATION_LIMIT_EXCEEDED",
            what="activations at once",
            kind="eligible_assignment",
        )
    end = unit.now + (asked.duration or record.max_activation)
    if record.end_time is not None:
        end = min(end, record.end_time)
    made = Activation(principal.name, unit.now, end, asked.justification)
    unit.put(record.activated(made, unit.now))
    return made


def deactivate(
    unit: Unit, name: str, person: Person, access: LocalAccess, *, principal: str = ""
) -> None:
    """Give the role back: the caller's own activation, or that of another principal.

    Raises:
        PermissionDenied: it is another's, and such assignments are not the caller's to end.
        NotFound: RESOURCE_NOT_FOUND.
        FailedPrecondition: NOT_ACTIVATED.
    """
    record = unit.facts.eligible_assignment(key(name))
    if principal and key(principal) not in person.principals:
        about = eligible_assignments.about_old(unit.facts, unit.index, name)
        access.require(WRITE, name, about)
        whose: tuple[str, ...] = (key(principal),)
    else:
        whose = (key(principal),) if principal else person.principals
        # Who has left the group may still give back what they took as a member.
        if record is None or not any(record.activation_of(one, unit.now) for one in whose):
            record = eligible_assignments.get(unit.facts, name, person, access)
    record = found(record, TYPE, name)
    held = [one for who in whose if (one := record.activation_of(who, unit.now)) is not None]
    if not held:
        violations = Violations()
        violations.precondition(
            "NOT_ACTIVATED",
            record.name,
            f"there is no activation of {record.name} to end",
            reason="NOT_ACTIVATED",
            metadata={"eligible_assignment": record.name, "principal": principal or whose[0]},
        )
        violations.raise_if_any()
    unit.put(record.deactivated(held[0], unit.now))


def check_principal(principal: str, violations: Violations) -> None:
    """Refuse a text that names nobody.

    Raises:
        InvalidArgument: with everything else that is wrong.
    """
    if principal:
        with violations.collect():
            PRINCIPAL.parse(principal, field="principal")
    violations.raise_if_any()


def _refuse_unmet(record: EligibleAssignment, asked: Asked, own: str, now: datetime) -> None:
    violations = Violations()

    def unmet(reason: str, text: str, **metadata: str) -> None:
        violations.precondition(
            reason,
            record.name,
            text,
            reason=reason,
            metadata={"eligible_assignment": record.name, **metadata},
        )

    if not record.is_in_force(now):
        unmet(
            "ELIGIBILITY_NOT_IN_FORCE",
            f"{record.name} has not begun or has ended",
            start_time=_text(record.start_time),
            end_time=_text(record.end_time),
        )
    held = record.activation_of(own, now)
    if held is not None:
        text = f"it is activated until {_text(held.end_time)}"
        unmet("ACTIVATION_IN_FORCE", text, end_time=_text(held.end_time))
    if asked.duration is not None and asked.duration > record.max_activation:
        most = f"{record.max_activation // _SECOND}s"
        unmet(
            "ACTIVATION_TOO_LONG",
            f"an activation lasts {most} at most",
            max_activation_duration=most,
        )
    if record.justification_required and not asked.justification.strip():
        unmet("JUSTIFICATION_REQUIRED", "an activation needs a justification")
    violations.raise_if_any()


def _text(time: datetime | None) -> str:
    """Answer a time as JSON has it, empty for none."""
    return "" if time is None else time.isoformat().replace("+00:00", "Z")
