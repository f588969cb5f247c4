"""Deleting sources: refused while something needs them."""

from collections.abc import Sequence
from dataclasses import replace

from services.catalog.domain.resource import ProvisioningState, Resource
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks, source_holds
from services.catalog.usecases.deletes import Delete
from services.catalog.usecases.source_types import SourceType, read_action_of
from services.catalog.usecases.updates import check_etag
from services.kernel.errors import FailedPrecondition, NotFound, PreconditionViolation


class _NeededError(Exception):
    """Carries who needs a source out of the transaction: what may be told of them is asked."""

    def __init__(self, source: Resource, users: Sequence[str]) -> None:
        super().__init__(source.name)
        self.source = source
        self.users = users


def delete(kind: SourceType, command: Delete, context: Context, mutation: Mutation[bool]) -> bytes:
    """Begin to delete a source: `source_holds.finish_delete` ends it.

    The result of the transaction is whether it was not under way already.

    Raises:
        InvalidArgument: the request is wrong.
        NotFound: there is no such source.
        FailedPrecondition: SOURCE_IN_USE, ENCRYPTION_SET_IN_USE.
        Aborted: ETAG_MISMATCH.
    """
    context.violations.raise_if_any()

    def work(tx: Tx) -> bool:
        rows = kind.rows(tx)
        source: Resource | None = rows.get(command.name.key, lock=True)
        if source is None:
            raise NotFound.of(kind.resource_type, command.name.text)
        check_etag(command.etag, source)
        if source.deleting:
            return False
        users = tx.uses.users(source.key, checks.MOST_CHILDREN)
        if users:
            raise _NeededError(source, users)
        rows.update(replace(source, state=ProvisioningState.DELETING))
        tx.outbox.add(source.uid, source_holds.DELETE_SOURCE, source_holds.message_of(source))
        return True

    try:
        return mutation.commit(work)
    except _NeededError as needed:
        raise _in_use(kind, needed, context) from needed


def _in_use(kind: SourceType, needed: _NeededError, context: Context) -> FailedPrecondition:
    """Name who needs a source, as far as the caller may know of them."""
    name = needed.source.name
    known = [one for one in needed.users if context.access.allowed(read_action_of(one), one)]
    shown = known or ["what the caller may not see"]
    return FailedPrecondition(
        f"{name} is needed by {', '.join(shown)}",
        reason=kind.in_use,
        metadata={"resource": name, "users": ",".join(known)},
        precondition=[
            PreconditionViolation(kind.in_use, one, f"{one} needs {name}") for one in known
        ]
        or [PreconditionViolation(kind.in_use, name, f"{name} is needed")],
    )
