"""What callers do to replications: cancel them, and try again what failed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from services.kernel.errors import FailedPrecondition, PermissionDenied, PreconditionViolation
from services.kernel.ids import new_uid
from services.replication.domain.names import replication_name, subscription_of
from services.replication.domain.records import ReplicationRecord
from services.replication.domain.snapshots import ReplicationView
from services.replication.ports.outside import OperationResults, Rights
from services.replication.ports.requests import Request
from services.replication.ports.rows import Tx, UnitOfWork
from services.replication.usecases.cancelling import cancel_regions
from services.replication.usecases.ledger import Ledger
from services.replication.usecases.reading import view_in
from services.replication.usecases.retry import Retry, reopen


class ReplicationActions:
    """The use cases that change a replication at a caller's wish."""

    def __init__(
        self,
        rows: UnitOfWork,
        results: OperationResults,
        rights: Rights,
        *,
        time_budget: timedelta,
    ) -> None:
        self._rows: Final = rows
        self._results: Final = results
        self._rights: Final = rights
        self._budget: Final = time_budget

    def cancel(
        self,
        record: ReplicationRecord,
        locations: Sequence[str],
        request: Request[ReplicationView],
    ) -> bytes:
        """Cancel regions that are not done; durable when it returns.

        Raises:
            FailedPrecondition: REGION_NOT_TARGETED.
        """

        def cancel(tx: Tx) -> ReplicationView:
            ledger = self._ledger(tx, record)
            if ledger.record is not None and ledger.record.id == record.id:
                cancel_regions(ledger, locations)
                ledger.finish()
            return view_in(tx, record.id)

        return self._rows.transact(lambda tx: tx.requests.once(request, lambda: cancel(tx)))

    def retry(
        self,
        record: ReplicationRecord,
        locations: Sequence[str],
        request: Request[str],
    ) -> bytes:
        """Open a replication for what failed; answers the name of the operation that waits for it.

        Raises:
            FailedPrecondition: REPLICATION_OPEN, REPLICATION_NOT_NEWEST, NOTHING_TO_RETRY,
                REGION_NOT_TARGETED.
            PermissionDenied: AUTHORIZATION_REVOKED, the subject of the grant lost its access.
        """
        version = self._rows.read(lambda tx: tx.versions.get(record.version))
        lost = self._rights.lost(version.grant) if version is not None else None
        if version is not None and lost is not None:
            raise PermissionDenied(
                f"{version.grant.subject} no longer holds {lost.action} at {lost.scope}",
                reason="AUTHORIZATION_REVOKED",
                metadata={
                    "subject": version.grant.subject,
                    "permission": lost.action,
                    "resource": lost.scope,
                },
            )

        def again(tx: Tx) -> str:
            ledger = self._ledger(tx, record)
            newest = ledger.record
            if newest is not None and newest.id != record.id:
                raise _not_newest(newest)
            operation = tx.operations.create(
                subscription=subscription_of(record.name),
                owner=request.caller,
                verb="retry",
                target=record.name,
                metadata=b"",
            )
            opened = reopen(ledger, Retry(new_uid(), tuple(locations), operation), self._budget)
            metadata = self._results.metadata(view_in(tx, opened.id))
            tx.operations.progress(operation, metadata)
            return operation

        return self._rows.transact(lambda tx: tx.requests.once(request, lambda: again(tx)))

    def cancel_operation(self, tx: Tx, operation: str) -> None:
        """Cancel the replication that an operation waits for, in the caller's transaction."""
        record = tx.replications.of_operation(operation)
        if record is None or not record.is_open:
            return
        ledger = self._ledger(tx, record)
        cancel_regions(ledger, ())
        ledger.finish()

    def _ledger(self, tx: Tx, record: ReplicationRecord) -> Ledger:
        version = tx.versions.lock(record.version)
        if version is None:
            raise RuntimeError("a replication is of no version")
        return Ledger(tx, version, self._results)


def _not_newest(newest: ReplicationRecord) -> FailedPrecondition:
    name = replication_name(newest.id)
    message = f"a newer replication of the version exists: {name}"
    return FailedPrecondition(
        message,
        reason="REPLICATION_NOT_NEWEST",
        metadata={"replication": name},
        precondition=(PreconditionViolation("REPLICATION_NOT_NEWEST", name, message),),
    )
