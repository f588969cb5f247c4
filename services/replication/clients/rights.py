"""Whether the subject of a grant still may what the work needs, by the policy replica."""

import time
from typing import Final

from services.kernel.rpc.access import AccessControl, Caller, Kind
from services.replication.domain.grants import Demand, Grant

_TIMEOUT: Final = 5.0


class PolicyRights:
    """Fulfils `ports.outside.Rights`."""

    def __init__(self, control: AccessControl) -> None:
        self._control: Final = control

    def lost(self, grant: Grant) -> Demand | None:
        """Answer a demand that is no longer met, None where all are.

        Raises:
            Unavailable: it cannot be decided now.
        """
        if grant.is_of_catalog or not grant.demands:
            return None
        # `tenants/{t}/users/{id}`: the id is never given to anybody else.
        parts = grant.subject.split("/")
        caller = Caller(subject=parts[-1], tenant=parts[1] if len(parts) > 1 else "")
        access = self._control.begin(caller, Kind.READ, time.monotonic() + _TIMEOUT, "")
        for demand in grant.demands:
            if not access.allowed(demand.action, demand.scope):
                return demand
        return None
