"""Audit records, each holding the digest of the one before it in its chain.

A chain is a tenant's, or the installation's for what lies in no tenant. The digest of a record
is the SHA-256, as 64 hexadecimal digits, of the UTF-8 text of one JSON array without spaces
between its parts: the previous digest, then the fields in the order of `canonical`. Times are
integer microseconds since 1970, numbers in `details` are doubles (`5.0`), objects have their
keys sorted, and nothing outside of ASCII is escaped. Whoever changes or takes out a record
breaks every digest after it. `stoa audit verify` computes all of it anew from what is listed.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

NO_DIGEST: Final = "0" * 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Outcome(enum.Enum):
    """How something came out."""

    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, as the service that did it tells; `caller` is empty for the service itself.

    `details` holds values of JSON and never a token, a signed URL or a secret.
    """

    event_time: datetime
    workload: str
    method: str
    resource: str
    outcome: Outcome
    caller: str = ""
    action: str = ""
    reason: str = ""
    decision_id: str = ""
    revision: int = 0
    request_id: str = ""
    trace_parent: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event at its place, `sequence` (from 1), in a chain."""

    name: str
    event: Event
    chain: str
    sequence: int
    previous_digest: str
    digest: str
    create_time: datetime


def chained(
    event: Event, *, home: str, chain: str, sequence: int, previous: str, now: datetime
) -> AuditRecord:
    """Put an event at the end of a chain; `home` is what its name lies below, `/` for nothing."""
    last = f"auditRecords/{sequence:020d}"
    name = last if home == "/" else f"{home}/{last}"
    digest = digest_of(canonical(event, name, sequence, now), previous)
    return AuditRecord(name, event, chain, sequence, previous, digest, now)


def canonical(event: Event, name: str, sequence: int, create_time: datetime) -> list[Any]:
    """Answer the fields of a record as its digest covers them."""
    return [
        name,
        sequence,
        _microseconds(event.event_time),
        event.caller,
        event.workload,
        event.method,
        event.action,
        event.resource,
        event.outcome.value,
        event.reason,
        event.decision_id,
        event.revision,
        event.request_id,
        event.trace_parent,
        _doubles(event.details),
        _microseconds(create_time),
    ]


def digest_of(fields: list[Any], previous: str) -> str:
    """Answer the digest of a record, given that of the one before."""
    text = json.dumps(
        [previous, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _doubles(value: Any) -> Any:
    """Answer details as the contract holds them, where every number is a double."""
    if isinstance(value, Mapping):
        return {name: _doubles(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_doubles(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
