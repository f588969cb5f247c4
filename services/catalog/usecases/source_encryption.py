"""The encryption set of a source: the right to it, and whether it can serve there."""

from services.catalog.domain import names, reasons
from services.catalog.domain.region import Region
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import checks
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.source_types import ENCRYPTION_SET
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.names import key
from services.kernel.violations import Violations


def demands(name: str, field: str, violations: Violations) -> list[Demand]:
    """Answer the right that a set needs, and note what is wrong with its name."""
    if name:
        with violations.collect():
            names.DISK_ENCRYPTION_SETS.parse(name, field=field)
            return [Demand(ENCRYPTION_SET.read, name, field)]
    return []


def find(tx: Tx, name: str, group: str, *, region: Region | None, violations: Violations) -> str:
    """Answer a set as it is called, empty for none; note why it cannot serve in a group.

    Raises:
        NotFound: ENCRYPTION_SET_NOT_FOUND.
        Aborted: the set is being deleted.
    """
    if not name or not names.DISK_ENCRYPTION_SETS.matches(name):
        return ""
    if key(names.subscription_of(name)) != key(names.subscription_of(group)):
        violations.precondition(
            reasons.ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION,
            name,
            f"{name} is in another subscription",
            reason=reasons.ENCRYPTION_SET_IN_OTHER_SUBSCRIPTION,
            metadata={"resource": name},
        )
        return name
    found = tx.encryption_sets.get(key(name), share=True)
    if found is None:
        violations.raise_if_any()
        raise NotFound(
            f"{name} does not exist",
            reason=reasons.ENCRYPTION_SET_NOT_FOUND,
            metadata={"resource": name},
            resource=ResourceInfo(names.DISK_ENCRYPTION_SET_TYPE, name),
        )
    if region is not None and found.location != region.id:
        violations.precondition(
            reasons.ENCRYPTION_SET_IN_OTHER_REGION,
            found.name,
            f"{found.name} is in {found.location}, not in {region.id}",
            reason=reasons.ENCRYPTION_SET_IN_OTHER_REGION,
            metadata={"resource": found.name, "location": found.location},
        )
    if not violations:
        checks.not_going(tx, found)
    return found.name
