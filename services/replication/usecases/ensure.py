"""EnsureReplicas: what the catalog wants becomes what is worked on."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from services.kernel.errors import FailedPrecondition, InvalidArgument, PreconditionViolation
from services.kernel.ids import new_uid
from services.kernel.names import key
from services.replication.domain.desired import DesiredReplicas
from services.replication.domain.grants import Grant, mismatch, require_fit
from services.replication.domain.records import (
    ReplicationRecord,
    Version,
)
from services.replication.domain.states import (
    CopyState,
    RegionState,
    ReplicationMode,
    ReplicationState,
)
from services.replication.ports.outside import GrantVerifier, OperationResults
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.retry import Retry, reopen
from services.replication.usecases.wanting import leave_region, want_region

_LEAVING: Final = frozenset({CopyState.REMOVING, CopyState.REMOVED})


class EnsureReplicas:
    """Admits a desired state by its grant, and opens the replication that brings it about."""

    def __init__(
        self,
        rows: UnitOfWork,
        grants: GrantVerifier,
        results: OperationResults,
        *,
        time_budget: timedelta,
    ) -> None:
        self._rows: Final = rows
        self._grants: Final = grants
        self._results: Final = results
        self._budget: Final = time_budget

    def ensure(
        self,
        desired: DesiredReplicas,
        token: bytes,
        *,
        retry: Retry | None = None,
        trace_context: str = "",
    ) -> ReplicationRecord:
        """Answer the replication that works on this generation.

        Durable when it returns, and idempotent by (uid of the version, generation, retry).

        Raises:
            PermissionDenied: GRANT_INVALID, GRANT_MISMATCH.
            FailedPrecondition: GENERATION_STALE, GENERATION_CONFLICT; of a retry as `reopen`.
            InvalidArgument: what is wanted cannot be shallow.
        """
        desired = desired.in_order()
        grant = self._grants.verify(token)
        require_fit(grant, desired)
        _check_shallow(desired)
        return self._rows.transact(
            lambda tx: self._ensure(
                tx, desired, grant=grant, retry=retry, trace_context=trace_context
            )
        )

    def _ensure(
        self,
        tx: Tx,
        desired: DesiredReplicas,
        *,
        grant: Grant,
        retry: Retry | None,
        trace_context: str,
    ) -> ReplicationRecord:
        version = _version(tx, desired, grant)
        known = tx.replications.delivered(desired.uid, desired.generation, "")
        if known is not None and known.digest != desired.digest():
            raise _precondition(
                "GENERATION_CONFLICT",
                desired.version,
                f"generation {desired.generation} is known with another content",
                {"generation": str(desired.generation)},
            )
        if known is None and desired.generation <= version.generation:
            raise _precondition(
                "GENERATION_STALE",
                desired.version,
                f"generation {version.generation} is wanted already",
                {"generation": str(version.generation)},
            )
        if known is not None:
            if retry is None:
                return known
            again = tx.replications.delivered(desired.uid, desired.generation, retry.delivery)
            if again is not None:
                return again
            ledger = Ledger(tx, replace(version, grant=grant), self._results)
            return reopen(ledger, retry, self._budget)
        return self._advance(tx, version, desired, grant=grant, trace_context=trace_context)

    def _advance(
        self,
        tx: Tx,
        version: Version,
        desired: DesiredReplicas,
        *,
        grant: Grant,
        trace_context: str,
    ) -> ReplicationRecord:
        """Open the replication of a new generation."""
        # What the catalog does by itself, as at the end of a retention, copies nothing.
        if grant.is_of_catalog and not desired.is_none:
            is_known = version.generation > 0
            if not (is_known and desired.is_within(version.desired)):
                raise mismatch("sub")
        is_full = version.generation > 0 and version.desired.mode is ReplicationMode.FULL
        if is_full and desired.mode is ReplicationMode.SHALLOW:
            raise InvalidArgument.of(
                "desired.replication_mode", "a version that is full does not become shallow"
            )
        now = tx.now()
        ledger = Ledger(tx, version, self._results)
        replication = new_uid()
        predecessor = ""
        if ledger.record is not None and ledger.is_open:
            predecessor = ledger.record.id
            ledger.supersede(replication)
        # A withdrawal need not repeat the disks, which later readers of the row want to know.
        disks = desired.disks or version.desired.disks
        ledger.version = replace(
            version,
            generation=desired.generation,
            withdrawn=desired.is_none,
            desired=replace(desired, disks=disks),
            grant=grant,
            update_time=now,
        )
        leaving = [
            one.location
            for one in ledger.regions
            if one.state is not RegionState.REMOVED
            and one.location not in {wanted.location for wanted in desired.regions}
        ]
        ledger.open(
            ReplicationRecord(
                id=replication,
                version=desired.uid,
                name=desired.version,
                name_key=key(desired.version),
                generation=desired.generation,
                mode=desired.mode,
                state=ReplicationState.OPEN,
                digest=desired.digest(),
                locations=(*(one.location for one in desired.regions), *leaving),
                create_time=now,
                update_time=now,
                predecessor=predecessor,
                trace_context=trace_context,
            )
        )
        for ordinal, wanted in enumerate(desired.regions):
            want_region(ledger, wanted, ordinal, self._budget)
        for ordinal, location in enumerate(leaving, len(desired.regions)):
            leave_region(ledger, location, ordinal)
        ledger.finish()
        if ledger.record is None:
            raise RuntimeError("a replication was opened")
        return ledger.record


def _check_shallow(desired: DesiredReplicas) -> None:
    """Refuse a shallow version anywhere but once in its home region.

    Raises:
        InvalidArgument: it has other regions or more replicas.
    """
    if desired.mode is not ReplicationMode.SHALLOW or desired.is_none:
        return
    if [(one.location, one.count) for one in desired.regions] != [(desired.home, 1)]:
        raise InvalidArgument.of(
            "desired.regions", "a shallow version has its home region alone, with one replica"
        )


def _version(tx: Tx, desired: DesiredReplicas, grant: Grant) -> Version:
    """Answer the locked row of a version, which is added if it is the first of its uid."""
    now = tx.now()
    fresh = Version(
        uid=desired.uid,
        name=desired.version,
        name_key=key(desired.version),
        tenant=desired.tenant,
        generation=0,
        withdrawn=desired.is_none,
        desired=desired,
        grant=grant,
        replication="",
        create_time=now,
        update_time=now,
    )
    tx.versions.insert(fresh)
    locked = tx.versions.lock(desired.uid)
    if locked is None:
        raise RuntimeError("a version was added and is not there")
    return locked


def _precondition(
    reason: str, subject: str, message: str, metadata: dict[str, str]
) -> FailedPrecondition:
    return FailedPrecondition(
        message,
        reason=reason,
        metadata=metadata,
        precondition=(PreconditionViolation(reason, subject, message),),
    )
