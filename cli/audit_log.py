"""Whether the records of an audit log are what was recorded, and all of it.

The digests are computed here from what the log answers, by the description in the guide and
not by the service: a service that lies about a record has to find another text of its digest.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1.audit_record_pb2 import AuditRecord
from stoa.authz.v1.decision_pb2 import DecisionReason

NO_DIGEST: Final = "0" * 64
_OUTCOMES: Final = {
    AuditRecord.OUTCOME_DONE: "done",
    AuditRecord.OUTCOME_DENIED: "denied",
    AuditRecord.OUTCOME_FAILED: "failed",
}


class AuditChain:
    """The records of one chain, taken in any order, as often as one likes."""

    def __init__(self) -> None:
        # By its place: what a record says of the one before it, of itself, and what it is.
        self._links: Final[dict[int, tuple[str, str, str]]] = {}

    def take(self, records: Iterable[AuditRecord]) -> None:
        """Take in records."""
        for one in records:
            self._links[one.sequence] = (one.previous_digest, one.digest, digest_of(one))

    def __len__(self) -> int:
        return len(self._links)

    @property
    def newest(self) -> tuple[int, str]:
        """The place and the digest of the newest record, (0, zeros) before there is one."""
        last = max(self._links, default=0)
        return (last, self._links[last][1]) if last else (0, NO_DIGEST)

    def missing(self) -> list[int]:
        """Answer the places, from the first to the newest, of which there is no record."""
        return [one for one in range(1, self.newest[0]) if one not in self._links]

    def problems(self, known: tuple[int, str] | None = None) -> Iterator[str]:
        """Say what is wrong; `known` is the newest place and digest of an earlier look."""
        for one in self.missing():
            yield f"record {one} is missing"
        before = (0, NO_DIGEST)
        for sequence in sorted(self._links):
            previous, told, computed = self._links[sequence]
            if told != computed:
                yield f"record {sequence} is not what was recorded"
            if sequence == before[0] + 1 and previous != before[1]:
                yield f"record {sequence} does not follow the one before it"
            before = (sequence, told)
        if known is not None and known[0]:
            link = self._links.get(known[0])
            if link is None or link[1] != known[1]:
                yield f"record {known[0]} is not the one that was known"


def digest_of(record: AuditRecord) -> str:
    """Compute the digest of a record from what it says."""
    reason = DecisionReason.Name(record.reason).removeprefix("DECISION_REASON_")
    fields = [
        record.previous_digest,
        record.name,
        record.sequence,
        _microseconds(record.event_time),
        record.caller,
        record.workload,
        record.method,
        record.action,
        record.resource,
        _OUTCOMES.get(record.outcome, ""),
        "" if reason == "UNSPECIFIED" else reason,
        record.decision_id,
        record.revision,
        record.request_id,
        record.trace_parent,
        _doubles(MessageToDict(record.details)),
        _microseconds(record.create_time),
    ]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _doubles(value: Any) -> Any:
    """Answer a value with every number in it as the double that it is in the record."""
    if isinstance(value, dict):
        return {name: _doubles(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_doubles(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _microseconds(time: Timestamp) -> int:
    return time.ToMicroseconds()
