"""Cancelling the operation of a change of a version: the regions that it still waits for end.

What is wanted of the version stays as the change made it; completed regions stay usable, and a
retry takes up the cancelled ones. The operation ends when they have.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from services.catalog.ports.transaction import Transact, Tx

CANCEL_REGIONS: Final = "cancel_regions"


def cancel(tx: Tx, operation: str) -> None:
    """Have the regions cancelled that an operation waits for, and no other one does."""
    change = tx.operations.cancelling(operation)
    if change is None:
        return
    version = tx.versions.by_uid(change.version_uid, lock=True)
    if version is None or version.deleting:
        return
    kept = tx.operations.awaited(version.name)
    due = [
        one.location
        for one in tx.versions.regions(version.uid)
        if one.location in change.awaited
        and one.location not in kept
        and not one.removing
        and not (one.state.terminal and one.done_with(change.generation))
    ]
    if due:
        payload = {"uid": version.uid, "locations": due}
        tx.outbox.add(version.uid, CANCEL_REGIONS, payload)


def send(
    payload: Mapping[str, Any],
    transact: Transact,
    cancel_regions: Callable[[str, Sequence[str]], None],
) -> None:
    """Tell replication to cancel regions of a version, unless it is gone by now.

    Raises:
        Unavailable: replication does not answer.
    """
    version = transact(lambda tx: tx.versions.by_uid(payload["uid"]))
    if version is not None and not version.deleting:
        cancel_regions(version.name, payload["locations"])
