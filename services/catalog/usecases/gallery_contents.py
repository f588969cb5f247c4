"""What a gallery may hold in a sharing mode (gallery-semantics 3.7)."""

from services.catalog.domain import features, reasons
from services.catalog.domain.gallery import Gallery, SharingMode
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import checks
from services.kernel.names import key
from services.kernel.violations import Violations


def check(tx: Tx, gallery: Gallery, violations: Violations) -> None:
    """Note the definitions and versions that the mode of a gallery forbids.

    Asked when the mode changes and at each step that lets somebody in.
    """
    mode = gallery.sharing.mode
    if mode is SharingMode.PRIVATE:
        return
    for name in tx.versions.outside(gallery.key, gallery.location, checks.MOST_CHILDREN):
        version = tx.versions.get(key(name))
        location = version.location if version is not None else ""
        _forbid(violations, reasons.SHARING_REGION_MISMATCH, name, mode, location=location)
    for name in tx.versions.encrypted(gallery.key, checks.MOST_CHILDREN):
        _forbid(violations, reasons.SHARING_FORBIDS_ENCRYPTION, name, mode)
    for definition in tx.definitions.below(gallery.key):
        features.check_sharing(definition.features, mode, definition.name, violations)
        if mode is not SharingMode.COMMUNITY:
            continue
        if definition.location != gallery.location:
            _forbid(
                violations,
                reasons.SHARING_REGION_MISMATCH,
                definition.name,
                mode,
                location=definition.location,
            )
        if definition.purchase_plan is not None:
            _forbid(violations, reasons.SHARING_FORBIDS_PLAN, definition.name, mode)


def _forbid(
    violations: Violations, reason: str, resource: str, mode: SharingMode, *, location: str = ""
) -> None:
    violations.precondition(
        reason,
        resource,
        f"{resource} cannot be in a gallery of mode {mode.value}",
        reason=reason,
        metadata={"resource": resource} | ({"location": location} if location else {}),
    )
