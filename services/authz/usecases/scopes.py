"""Forgetting what was granted on resources that are gone."""

from services.authz.domain.records import Tombstone
from services.authz.ports.policy import Unit
from services.kernel.names import key
from services.kernel.violations import Violations


def bury(unit: Unit, scope: str, uid: str, violations: Violations) -> tuple[Tombstone, bool]:
    """Remove what is assigned and granted at a scope and below; answer whether it was before.

    Once for each uid, for ever: a repeat removes nothing that was granted on a successor of
    the same name.

    Raises:
        InvalidArgument: a subscription or something above it, which never goes this way.
    """
    if not is_buriable(scope):
        violations.add("scope", "must be a resource group or something below one, or a region")
    violations.raise_if_any()
    known = unit.facts.tombstone(uid)
    if known is not None:
        return known, True
    removed = unit.facts.at_or_below(key(scope))
    for record in removed:
        unit.remove(record)
    tombstone = Tombstone(uid, scope, unit.revision, len(removed), unit.now)
    unit.bury(tombstone)
    return tombstone, False


def is_buriable(scope: str) -> bool:
    """Whether a scope is that of a resource which can go."""
    parts = key(scope).split("/")
    if parts[0] == "regions":
        return len(parts) == 2
    return parts[0] == "subscriptions" and len(parts) >= 4 and parts[2] == "resourcegroups"
