"""What the outbox brings about: replicas of versions, and the end of resources."""

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from services.catalog.domain.audit import REPLICAS_WANTED, AuditEntry
from services.catalog.domain.desired import (
    CATALOG_ITSELF,
    DELETE_VERSION,
    ENSURE_REPLICAS,
    SOFT_DELETE_VERSION,
    Desired,
)
from services.catalog.domain.region_status import Cause
from services.catalog.ports.policy import Scopes
from services.catalog.ports.transaction import Transact
from services.catalog.usecases import deletes, region_events, version_cancel, version_delete
from services.kernel.db.outbox import Handler, OutboxMessage

_LOG = logging.getLogger(__name__)


class Replicas(Protocol):
    """Brings about what is wanted of a version."""

    def __call__(self, desired: Desired) -> Cause | None:
        """Answer why it is refused for good, None where it is accepted.

        Raises:
            StoaError: another attempt may succeed.
        """


def handlers(
    transact: Transact,
    *,
    replicas: Replicas,
    cancel_regions: Callable[[str, Sequence[str]], None],
    scopes: Scopes,
    read: Callable[[Any], Desired],
    tell: Callable[[AuditEntry, str], None],
) -> Mapping[str, Handler]:
    """Answer the handlers of the messages about versions and what holds them, by their kinds.

    `tell` has the audit log know a decision, with the trace that it was made in.
    """
    versions: Final = _Versions(transact, replicas, scopes)

    def delete_resource(message: OutboxMessage) -> None:
        payload = json.loads(message.payload)
        scopes.tombstone(payload["name"], payload["uid"])
        transact(lambda tx: deletes.finish(tx, payload))

    def cancel(message: OutboxMessage) -> None:
        version_cancel.send(json.loads(message.payload), transact, cancel_regions)

    def brought_about(bring: Callable[[Desired], None]) -> Handler:
        def handle(message: OutboxMessage) -> None:
            desired = read(json.loads(message.payload))
            # First, so that the log has a decision before anything comes of it.
            if desired.authority.subject != CATALOG_ITSELF:
                tell(_decision(desired, message), message.trace_context)
            bring(desired)

        return handle

    return {
        version_cancel.CANCEL_REGIONS: cancel,
        ENSURE_REPLICAS: brought_about(versions.ensure),
        SOFT_DELETE_VERSION: brought_about(versions.lower),
        DELETE_VERSION: brought_about(versions.delete),
        deletes.DELETE_RESOURCE: delete_resource,
    }


def _decision(desired: Desired, message: OutboxMessage) -> AuditEntry:
    """Answer the decision by which something is wanted; told again, it is the same.

    One decision may bring about many: it is told once for each, or a log that refuses what was
    told under another id would hold them all up.
    """
    authority = desired.authority
    told = f"{desired.uid} {desired.generation}"
    return AuditEntry(
        request_id=str(uuid.uuid5(uuid.UUID(authority.decision), told)),
        event_time=message.create_time,
        caller=authority.subject,
        method=REPLICAS_WANTED,
        action=authority.action,
        resource=desired.name,
        revision=authority.revision,
        details={"generation": str(desired.generation), "version_uid": desired.uid},
        decision_id=authority.decision,
    )


class _Versions:
    def __init__(self, transact: Transact, replicas: Replicas, scopes: Scopes) -> None:
        self._transact: Final = transact
        self._replicas: Final = replicas
        self._scopes: Final = scopes

    def ensure(self, desired: Desired) -> None:
        """Ask for the replicas of a generation, unless a newer one is wanted by now."""
        version = self._transact(lambda tx: tx.versions.by_uid(desired.uid))
        if version is None or version.generation != desired.generation or version.deleting:
            return
        cause = self._replicas(desired)
        if cause is None:
            return
        _LOG.warning("%s is refused: %s", desired.name, cause.message)
        self._transact(lambda tx: region_events.fail(tx, desired.uid, desired.generation, cause))

    def lower(self, desired: Desired) -> None:
        """Have what a soft-deleted version keeps, unless it was purged meanwhile."""
        version = self._transact(lambda tx: tx.versions.by_uid(desired.uid))
        if version is None or version.generation != desired.generation:
            return
        cause = self._replicas(desired)
        if cause is not None:
            raise RuntimeError(f"{desired.name} cannot be soft-deleted: {cause.message}")
        generation = desired.generation
        self._transact(lambda tx: version_delete.finish_softly(tx, desired.uid, generation))

    def delete(self, desired: Desired) -> None:
        """End a version: no region answers for it, nothing is granted on it, its name is free."""
        cause = self._replicas(desired)
        if cause is not None:
            raise RuntimeError(f"{desired.name} cannot be withdrawn: {cause.message}")
        self._scopes.tombstone(desired.name, desired.uid)
        self._transact(lambda tx: version_delete.finish(tx, desired.uid))
