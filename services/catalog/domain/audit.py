"""What the audit log is told by the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

APPEND_AUDIT: Final = "append_audit"
TERMS_ACCEPTED: Final = "terms.accepted"
REPLICAS_WANTED: Final = "replicas.wanted"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done.

    `request_id` is that under which it is told, again and again, until the log has it. `caller`
    is the name of the principal, `resource` what it was done to, `revision` that of the policy
    which allowed it. `decision_id` is that of the decision by which it was, if it has one.
    """

    request_id: str
    event_time: datetime
    caller: str
    method: str
    action: str
    resource: str
    revision: int
    details: Mapping[str, str]
    decision_id: str = ""
