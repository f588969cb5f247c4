"""Ways through groups: from a principal to the groups they are in, and back."""

from collections import deque
from collections.abc import Mapping

from services.policy.directory import Directory
from services.policy.model import PrincipalKind


def ways_to_groups(directory: Directory, caller: str) -> Mapping[str, tuple[str, ...]]:
    """Answer every group that a principal belongs to, with the groups on a shortest way to it."""
    known = directory.identities(caller)
    found: dict[str, tuple[str, ...]] = {}
    pending: deque[tuple[str, tuple[str, ...]]] = deque([(caller, ())] if known else [])
    while pending:
        member, way = pending.popleft()
        for group in sorted(directory.groups_of.get(member) or ()):
            if group in known and group != caller and group not in found:
                found[group] = way
                pending.append((group, (*way, group)))
    return found


def inwards(directory: Directory, group: str) -> Mapping[str, tuple[str, ...]]:
    """Answer everybody in a group, through other groups too, with the groups on a shortest way.

    The way begins with the group itself. Who is unknown or disabled is in no group, and passes
    nothing on.
    """
    found: dict[str, tuple[str, ...]] = {}
    pending: deque[tuple[str, tuple[str, ...]]] = deque([(group, (group,))])
    while pending:
        one, way = pending.popleft()
        for member in sorted(directory.members_of.get(one) or ()):
            if member == group or member in found or not directory.identities(member):
                continue
            found[member] = way
            if directory.principals[member].kind is PrincipalKind.GROUP:
                pending.append((member, (*way, member)))
    return found
