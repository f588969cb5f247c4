"""VerifyReplicas: what callers ask to be read back, and the work that follows."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.kernel.errors import NotFound, ResourceExhausted
from services.kernel.names import Name
from services.replication.content.errors import Cancelled
from services.replication.domain.names import OS_DISK, VERSION_TYPE, disk_order, subscription_of
from services.replication.domain.progress import Counters
from services.replication.domain.records import Version, VersionDisk
from services.replication.domain.states import Health, RegionState
from services.replication.domain.verification import (
    MAX_FINDINGS,
    Depth,
    Finding,
    Target,
    Verification,
)
from services.replication.ports.outside import VerificationResults
from services.replication.ports.requests import Request
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.healing import Healing, Look
from services.replication.usecases.health import is_committed

MAX_WAITING: Final = 100
"""Verifications at once; more are refused until one is done."""

_LEFT: Final = frozenset({RegionState.REMOVING, RegionState.REMOVED})
_LOOK_EVERY: Final = 0.25


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants verified: no location for all, no disk for all."""

    name: Name
    locations: tuple[str, ...]
    disk: str
    depth: Depth
    report_only: bool


class Verifications:
    """Begins and stops verifications; both are durable when they return."""

    def __init__(self, rows: UnitOfWork, results: VerificationResults) -> None:
        self._rows: Final = rows
        self._results: Final = results

    def begin(self, asked: Asked, request: Request[str]) -> bytes:
        """Answer the name of the operation that waits for the end.

        Raises:
            NotFound: the version, or NOT_IN_REGION, DISK_NOT_FOUND.
            ResourceExhausted: TOO_MANY_REQUESTS.
        """

        def begin(tx: Tx) -> str:
            version = tx.versions.named(asked.name.key)
            if version is None:
                raise NotFound.of(VERSION_TYPE, asked.name.text)
            contents = tx.versions.disks(version.uid)
            targets = _targets(tx, version, asked, contents)
            if tx.verifications.count() >= MAX_WAITING:
                raise ResourceExhausted(
                    f"{MAX_WAITING} verifications are under way",
                    reason="TOO_MANY_REQUESTS",
                    metadata={"kind": "verification"},
                    retry_after=10.0,
                )
            operation = tx.operations.create(
                subscription=subscription_of(version.name),
                owner=request.caller,
                verb="verify",
                target=version.name,
                metadata=b"",
            )
            sizes = {one.disk: one.data_bytes for one in contents}
            verification = Verification(
                operation=operation,
                version=version.uid,
                depth=asked.depth,
                report_only=asked.report_only,
                targets=targets,
                create_time=tx.now(),
                regions=_totals(targets, sizes),
            )
            tx.verifications.put(verification)
            tx.operations.progress(operation, self._metadata(tx, version, verification))
            return operation

        return self._rows.transact(lambda tx: tx.requests.once(request, lambda: begin(tx)))

    def cancel(self, tx: Tx, operation: str) -> bool:
        """End a verification in the caller's transaction; False where there is none."""
        verification = tx.verifications.get(operation)
        if verification is None:
            return False
        version = tx.versions.get(verification.version)
        tx.verifications.finish(operation)
        if version is not None:
            regions = tx.versions.regions(version.uid)
            now = tx.now()
            metadata = self._results.metadata(
                version, verification, regions, end_time=now, cancelled=True
            )
            tx.operations.fail(operation, self._results.cancelled(version), metadata)
        return True

    def _metadata(self, tx: Tx, version: Version, verification: Verification) -> bytes:
        return self._results.metadata(version, verification, tx.versions.regions(version.uid))


class VerificationWork:
    """Does what was asked for, a disk of a replica at a time; what is done stays done."""

    def __init__(self, rows: UnitOfWork, healing: Healing, results: VerificationResults) -> None:
        self._rows: Final = rows
        self._healing: Final = healing
        self._results: Final = results

    def step(self, stop: threading.Event) -> bool:
        """Verify the next disk; False where there is nothing to do.

        Raises:
            Cancelled: `stop` was set.
        """
        verification = self._rows.read(lambda tx: tx.verifications.next())
        if verification is None:
            return False
        finding = None
        if not verification.is_done:
            target = verification.targets[verification.position]
            how = Look(
                verification.depth,
                repair=not verification.report_only,
                pace=_Wanted(self._rows, verification.operation).check,
            )
            try:
                finding = self._healing.look(verification.version, target, how, stop)
            except Cancelled:
                if stop.is_set():
                    raise
                return True
        self._rows.transact(lambda tx: self._advance(tx, verification, finding))
        return True

    def _advance(self, tx: Tx, seen: Verification, finding: Finding | None) -> None:
        now = tx.verifications.get(seen.operation)
        version = tx.versions.get(seen.version)
        if now is None or now.position != seen.position:
            return
        if version is None:
            tx.verifications.finish(seen.operation)
            return
        now = with_finding(now, finding)
        regions = tx.versions.regions(version.uid)
        if not now.is_done:
            tx.verifications.put(now)
            metadata = self._results.metadata(version, now, regions)
            tx.operations.progress(now.operation, metadata)
            return
        tx.verifications.finish(now.operation)
        metadata = self._results.metadata(version, now, regions, end_time=tx.now())
        tx.operations.succeed(now.operation, self._results.response(now), metadata)


def with_finding(verification: Verification, finding: Finding | None) -> Verification:
    """Answer the verification after one more target; None where it was not committed any more."""
    position = min(verification.position + 1, len(verification.targets))
    moved = replace(verification, position=position)
    if finding is None:
        return moved
    location = finding.target.location
    before = verification.regions.get(location, Counters())
    counters = replace(
        before,
        verified=min(before.verified + finding.verified_bytes, before.total),
        repaired=before.repaired + finding.repaired_bytes,
    )
    findings = verification.findings
    if finding.is_damage and len(findings) < MAX_FINDINGS:
        findings = (*findings, finding)
    return replace(
        moved,
        findings=findings,
        regions={**verification.regions, location: counters},
        verified_count=verification.verified_count + finding.checked,
        damaged_count=verification.damaged_count + (finding.checked and finding.is_damage),
        all_good=verification.all_good and finding.health is Health.GOOD,
        verified_bytes=verification.verified_bytes + finding.verified_bytes,
        repaired_bytes=verification.repaired_bytes + finding.repaired_bytes,
    )


class _Wanted:
    """Stops reading soon after the operation was cancelled."""

    def __init__(self, rows: UnitOfWork, operation: str) -> None:
        self._rows: Final = rows
        self._operation: Final = operation
        self._next = 0.0

    def check(self, length: int) -> None:
        """Raise Cancelled where the verification is not wanted any more."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LOOK_EVERY
        if self._rows.read(lambda tx: tx.verifications.get(self._operation)) is None:
            raise Cancelled


def _targets(
    tx: Tx, version: Version, asked: Asked, contents: Sequence[VersionDisk]
) -> tuple[Target, ...]:
    available = [one.location for one in tx.versions.regions(version.uid) if one.state not in _LEFT]
    missing = [one for one in asked.locations if one not in available]
    if missing:
        raise NotFound(
            f"the version is not in {missing[0]}",
            reason="NOT_IN_REGION",
            metadata={"location": missing[0], "available": ",".join(available)},
        )
    known = [one.disk for one in version.desired.disks]
    if asked.disk and asked.disk not in known:
        raise NotFound(
            f"the version has no disk {asked.disk}",
            reason="DISK_NOT_FOUND",
            metadata={
                "disk": asked.disk,
                "luns": ",".join(disk for disk in known if disk != OS_DISK),
            },
        )
    chosen = [one.disk for one in contents if asked.disk in {"", one.disk}]
    chosen.sort(key=disk_order)
    return tuple(
        Target(replica.location, replica.slot, disk)
        for replica in tx.replicas.of_version(version.uid)
        if is_committed(replica) and (not asked.locations or replica.location in asked.locations)
        for disk in chosen
    )


def _totals(targets: Sequence[Target], sizes: dict[str, int]) -> dict[str, Counters]:
    found: dict[str, Counters] = {}
    for target in targets:
        before = found.get(target.location, Counters())
        found[target.location] = replace(before, total=before.total + sizes.get(target.disk, 0))
    return found
