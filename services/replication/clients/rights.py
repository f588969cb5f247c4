"""Whether the subject of a grant still may what the work needs, by the policy replica."""

import time
from dataclasses import replace
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
        caller = replace(_caller(grant.subject), auxiliary=tuple(map(_caller, grant.others)))
        access = self._control.begin(caller, Kind.READ, time.monotonic() + _TIMEOUT, "")
        for demand in grant.demands:
            if not access.allowed(demand.action, demand.scope):
                return demand
        return None


def _caller(principal: str) -> Caller:
    # `tenants/{t}/users/{id}`: the id is never given to anybody else, of whatever kind.
    parts = principal.split("/")
    return Caller(subject=parts[-1], tenant=parts[1] if len(parts) > 1 else "")
