"""Role assignments whose time is over: they grant nothing, and are listed for a while yet."""

from datetime import datetime, timedelta
from typing import Final

from services.authz.domain.records import RoleAssignment
from services.authz.ports.policy import Command, PolicyStore, Unit

# How long one that has ended stays listed (role_assignment.proto, `end_time`).
LISTED: Final = timedelta(days=30)
EVENT: Final = "role_assignment.expired"


def purge_ended(store: PolicyStore, now: datetime, *, most: int = 500) -> int:
    """Delete those that ended long ago, the first ones first; answer how many.

    Each is a write of its own with its own record in the log of its tenant.
    """
    before = now - LISTED
    ended = store.read(lambda facts: facts.ended_before(before, most))
    return sum(_purge(store, one, before) for one in ended)


def _purge(store: PolicyStore, ended: RoleAssignment, before: datetime) -> bool:
    def purge(unit: Unit) -> bool:
        # Another process may have been here; a name is never another assignment's for long.
        found = unit.facts.role_assignment(ended.key)
        if found is None or found.end_time is None or found.end_time > before:
            return False
        unit.remove(found)
        return True

    command = Command(EVENT, ended.name, caller_id="authz")
    return store.write(command, purge, lambda done: b"\1" if done else b"").reply == b"\1"
