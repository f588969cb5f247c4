"""Making principals eligible for roles (authorization.md 1.1)."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.authz.domain.eligibility import DEFAULT_MAXIMUM, EligibleAssignment
from services.authz.domain.names import scoped
from services.authz.ports.policy import Facts, Unit
from services.authz.usecases.delegation import attributes_of
from services.authz.usecases.finding import found
from services.authz.usecases.limits import Limits
from services.authz.usecases.role_assignments import check_texts, refuse_too_many, resolve
from services.authz.usecases.roles import Reader
from services.kernel.errors import AlreadyExists
from services.kernel.etag import etag_of, require_match
from services.kernel.ids import new_uid
from services.kernel.names import key
from services.kernel.rpc.access import Access
from services.kernel.violations import Violations
from services.policy.conditions import MAKE_ELIGIBLE, Attributes
from services.policy.index import PolicyIndex

TYPE: Final = "EligibleAssignment"
READ: Final = "Microsoft.Authorization/roleEligibilitySchedules/read"
WRITE: Final = MAKE_ELIGIBLE


@dataclass(frozen=True, slots=True)
class NewEligibleAssignment:
    """What is asked for; the id is made where it is empty."""

    scope: str
    principal: str
    role_definition: str
    id: str = ""
    description: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    condition: str = ""
    condition_version: str = ""
    max_activation: timedelta = DEFAULT_MAXIMUM
    justification_required: bool = True
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever calls: the principals that they are, who asks about the scope first."""

    index: PolicyIndex
    principals: tuple[str, ...]

    @property
    def identities(self) -> frozenset[str]:
        """The keys of the principals and of all their groups."""
        return frozenset().union(*map(self.index.directory.identities, self.principals))

    def includes(self, record: EligibleAssignment) -> bool:
        """Whether the role may be taken."""
        return self.entitled(record) is not None

    def entitled(self, record: EligibleAssignment) -> str | None:
        """Answer the key of the principal that may take the role, None for none."""
        for one in self.principals:
            if record.principal_key in self.index.directory.identities(one):
                return one
        return None


def create(
    unit: Unit,
    new: NewEligibleAssignment,
    limits: Limits,
    violations: Violations,
    *,
    reader: Reader,
) -> EligibleAssignment:
    """Make a principal eligible for a role at a scope.

    Raises:
        InvalidArgument: a name or the condition cannot be read, with everything else.
        NotFound: the scope, the principal or the role is not there.
        AlreadyExists: the name, or the same principal, role and scope.
        FailedPrecondition: the role cannot be assigned there.
        ResourceExhausted: too many assignments.
    """
    check(new, violations)
    facts = unit.facts
    principal, role = resolve(unit, new.scope, new.principal, new.role_definition, reader=reader)
    same = facts.same_eligible(key(new.scope), principal.key, key(role.name))
    if same is not None:
        raise AlreadyExists(
            f"{principal.name} is eligible for the role at {new.scope} already",
            reason="ROLE_ASSIGNMENT_EXISTS",
            metadata={"assignment": same.name},
        )
    made = EligibleAssignment(
        name=scoped(new.scope, "eligibleAssignments", new.id or str(uuid.uuid4())),
        scope=new.scope,
        principal=principal.name,
        principal_kind=principal.kind,
        role_definition=role.name,
        uid=new_uid(),
        create_time=unit.now,
        description=new.description,
        start_time=new.start_time,
        end_time=new.end_time,
        condition=new.condition,
        condition_version=(new.condition_version or "2.0") if new.condition else "",
        max_activation=new.max_activation,
        justification_required=new.justification_required,
        creator=new.creator,
    )
    if facts.eligible_assignment(made.key) is not None:
        raise AlreadyExists.of(f"stoa.dev/{TYPE}", made.name)
    refuse_too_many(facts, new.scope, limits)
    unit.put(made)
    return made


def check(new: NewEligibleAssignment, violations: Violations) -> None:
    """Refuse what the request alone shows to be wrong.

    Raises:
        InvalidArgument: a name or the condition cannot be read, with everything else.
    """
    check_texts(
        "eligible_assignment",
        new.principal,
        new.role_definition,
        new.condition,
        violations=violations,
    )
    violations.raise_if_any()


def about_new(index: PolicyIndex, new: NewEligibleAssignment) -> Attributes:
    """Answer what conditions see of an eligible assignment that is asked for."""
    return attributes_of(index, WRITE, new.scope, role=new.role_definition, principal=new.principal)


def about_old(facts: Facts, index: PolicyIndex, name: str) -> Attributes | None:
    """Answer what conditions see of an eligible assignment, None where there is none."""
    record = facts.eligible_assignment(key(name))
    if record is None:
        return None
    return attributes_of(
        index, WRITE, record.scope, role=record.role_definition, principal=record.principal
    )


def get(facts: Facts, name: str, person: Person, access: Access) -> EligibleAssignment:
    """Answer one eligible assignment, to those who may take the role and those who may read it.

    Raises:
        PermissionDenied: the caller is neither; whether there is one is not told.
        NotFound: RESOURCE_NOT_FOUND.
    """
    record = facts.eligible_assignment(key(name))
    if record is not None and person.includes(record):
        return record
    access.require(READ, name)
    return found(record, TYPE, name)


def delete(unit: Unit, name: str, etag: str) -> None:
    """Delete an eligible assignment; its activations end with it.

    Raises:
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
    """
    record = found(unit.facts.eligible_assignment(key(name)), TYPE, name)
    require_match(etag, record.version, uid=record.uid, resource=record.name)
    unit.remove(record)


def etag(record: EligibleAssignment) -> str:
    """Answer the etag; each activation changes it."""
    return etag_of(record.version, record.uid)
