"""What the outbox tells the audit log."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from services.catalog.domain.audit import APPEND_AUDIT, AuditEntry
from services.kernel.db.outbox import Handler, OutboxMessage


def handlers(
    append: Callable[[AuditEntry, str], None], read: Callable[[Any], AuditEntry]
) -> Mapping[str, Handler]:
    """Answer the handler of the messages to the audit log, by their kind."""

    def send(message: OutboxMessage) -> None:
        append(read(json.loads(message.payload)), message.trace_context)

    return {APPEND_AUDIT: send}
