"""Changing users, groups and service principals: what they are called, and whether they act."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final

from services.authz.domain.records import Principal
from services.authz.ports.policy import Unit
from services.authz.usecases.owners import owners_kept
from services.authz.usecases.principals import TYPES, upn_taken
from services.authz.usecases.updating import Update, admit, present, required, revised
from services.kernel.field_mask import FieldTable
from services.kernel.names import key
from services.kernel.violations import Violations
from services.policy.model import PrincipalKind

_OUTPUT: Final = frozenset({"create_time", "update_time", "uid"})
_EXTERNAL: Final = frozenset({"external_identity.issuer", "external_identity.subject"})


@dataclass(frozen=True, slots=True)
class Updatable:
    """What can be changed of a kind of principal; `resource` is its field in an Update."""

    resource: str
    fields: FieldTable
    required: tuple[str, ...] = ("display_name",)


UPDATABLE: Final[Mapping[PrincipalKind, Updatable]] = {
    PrincipalKind.USER: Updatable(
        "user",
        FieldTable(
            mutable=frozenset({"display_name", "user_principal_name", "account_enabled"}),
            immutable=_EXTERNAL,
            output_only=_OUTPUT,
        ),
        ("display_name", "user_principal_name"),
    ),
    PrincipalKind.GROUP: Updatable(
        "group",
        FieldTable(mutable=frozenset({"display_name", "description"}), output_only=_OUTPUT),
    ),
    PrincipalKind.SERVICE_PRINCIPAL: Updatable(
        "service_principal",
        FieldTable(
            mutable=frozenset({"display_name", "description", "account_enabled"}),
            immutable=_EXTERNAL,
            output_only=_OUTPUT,
        ),
    ),
}


def update(unit: Unit, asked: Update, kind: PrincipalKind, violations: Violations) -> Principal:
    """Change a principal. One that is disabled keeps what it was granted, and may do nothing.

    Raises:
        InvalidArgument: everything that is wrong with the request.
        NotFound: RESOURCE_NOT_FOUND.
        Aborted: ETAG_MISMATCH.
        FailedPrecondition: PROPERTY_CHANGE_NOT_ALLOWED, LAST_OWNER.
        AlreadyExists: USER_PRINCIPAL_NAME_TAKEN.
    """
    facts, what = unit.facts, UPDATABLE[kind]
    before = present(facts.principal(key(asked.name)), TYPES[kind], asked.name, violations)
    external = {"issuer": before.issuer, "subject": before.subject}
    current = {"external_identity": external}
    changes = what.fields.changes(asked.mask, asked.sent, current, violations)
    required(what.resource, changes, what.required, violations)
    admit(asked, before, violations)
    upn = changes.get("user_principal_name", before.user_principal_name)
    if key(upn) != key(before.user_principal_name):
        taken = facts.user_called(key(before.tenant), upn)
        if taken is not None:
            raise upn_taken(upn)
    enabled = changes.get("account_enabled", before.enabled)
    after = replace(
        before,
        display_name=changes.get("display_name", before.display_name),
        description=changes.get("description", before.description),
        user_principal_name=upn,
        # Absent means that it is.
        enabled=True if enabled is None else enabled,
    )
    with owners_kept(unit) if before.enabled and not after.enabled else nullcontext():
        return revised(unit, before, after)
