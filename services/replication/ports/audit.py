"""The audit log of the installation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TermsAccepted:
    """A caller accepted the terms of a community gallery, to read a version of it.

    `caller` is the name of the principal, `view` that of the version as the caller asked for it,
    `revision` that of the policy which allowed it, `trace_parent` the trace of the call.
    """

    caller: str
    view: str
    method: str
    action: str
    revision: int
    trace_parent: str
    details: Mapping[str, str]


class AuditTrail(Protocol):
    """Records what may not happen unrecorded."""

    def terms_accepted(self, accepted: TermsAccepted) -> None:
        """Record it; durable when this returns.

        Raises:
            Unavailable: it could not be recorded, and so may not happen.
        """
