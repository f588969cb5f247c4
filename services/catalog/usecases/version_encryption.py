"""The encryption sets that target regions name: the right to them, and whether they can serve."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.catalog.domain import encryption_rules, names, reasons
from services.catalog.domain.disk_encryption_set import DiskEncryptionSet
from services.catalog.domain.encryption import RegionEncryption
from services.catalog.domain.encryption_rules import Entry
from services.catalog.domain.gallery import Gallery, SharingMode
from services.catalog.domain.targets import Placement
from services.catalog.domain.version import TargetRegion, Version
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import checks
from services.catalog.usecases.linked import Demand
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.names import key
from services.kernel.violations import Violations

READ_ACTION: Final = "Microsoft.Compute/diskEncryptionSets/read"


def demands(
    sent: Sequence[Entry], violations: Violations, *, known: frozenset[str] = frozenset()
) -> list[Demand]:
    """Answer the rights that the sets of target regions need, those with a `known` key excepted.

    Notes what the encryption shows wrong by itself; a name that cannot be read needs no right.
    """
    encryption_rules.check_request(sent, violations)
    return [
        Demand(READ_ACTION, one.name, one.path)
        for one in encryption_rules.named_sets(sent)
        if key(one.name) not in known and not violations.has_field(one.path)
    ]


def check_new(
    tx: Tx,
    before: Version,
    after: Version,
    placed: Sequence[Placement],
    *,
    violations: Violations,
) -> Version:
    """Answer a changed version with its sets as they are called, and note wrong new ones.

    The regions that it has keep theirs, and theirs are not looked at again.

    Raises:
        NotFound: ENCRYPTION_SET_NOT_FOUND.
        Aborted: a set is being deleted.
    """
    present = {one.location for one in before.target_regions}
    new = [one for one in placed if one.target.location not in present]
    disks = [one.disk for one in before.disks]
    encryption_rules.check_added(new, before.target_regions, violations)
    encryption_rules.check_disks(new, disks, violations, stored=True)
    return find_sets(tx, after, new, violations)


def find_sets(tx: Tx, version: Version, placed: Sequence[Entry], violations: Violations) -> Version:
    """Answer the version with its sets as they are called, noting those that cannot serve.

    `placed` are the regions whose sets are looked at.

    Raises:
        NotFound: ENCRYPTION_SET_NOT_FOUND.
        Aborted: a set is being deleted.
    """
    own = key(names.subscription_of(version.name))
    found: dict[str, DiskEncryptionSet] = {}
    for one in encryption_rules.named_sets(placed):
        row = None
        if violations.has_field(one.path):
            continue
        if key(names.subscription_of(one.name)) == own:
            row = tx.encryption_sets.get(key(one.name), share=True)
            if row is None:
                violations.raise_if_any()
                raise _not_found(one.name)
            found[row.key] = row
        encryption_rules.check_set(one, row, version.name, violations)
    if found and not violations:
        for row in found.values():
            checks.not_going(tx, row)
    changed = {one.target.location for one in placed}
    return replace(
        version,
        target_regions=tuple(
            _spelled(one, found) if one.location in changed else one
            for one in version.target_regions
        ),
    )


def check_gallery(gallery: Gallery, version: Version, violations: Violations) -> None:
    """Note keys of a customer where the sharing mode forbids them (gallery-semantics 3.7)."""
    mode = gallery.effective_mode
    if version.encrypted and mode is not SharingMode.PRIVATE:
        violations.precondition(
            reasons.SHARING_FORBIDS_ENCRYPTION,
            version.name,
            f"a version with encryption sets cannot be in a gallery of mode {mode.value}",
            reason=reasons.SHARING_FORBIDS_ENCRYPTION,
            metadata={"resource": version.name},
        )


def _spelled(target: TargetRegion, found: Mapping[str, DiskEncryptionSet]) -> TargetRegion:
    if target.encryption is None:
        return target

    def name(sent: str) -> str:
        row = found.get(key(sent)) if sent else None
        return sent if row is None else row.name

    spelled = RegionEncryption(
        os_set=name(target.encryption.os_set),
        confidential=target.encryption.confidential,
        secure_set=name(target.encryption.secure_set),
        data=tuple(replace(one, set=name(one.set)) for one in target.encryption.data),
    )
    return replace(target, encryption=spelled)


def _not_found(name: str) -> NotFound:
    return NotFound(
        f"{name} does not exist",
        reason=reasons.ENCRYPTION_SET_NOT_FOUND,
        metadata={"resource": name},
        resource=ResourceInfo(names.DISK_ENCRYPTION_SET_TYPE, name),
    )
