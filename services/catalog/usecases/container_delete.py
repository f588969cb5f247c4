"""Deleting resource groups, galleries and definitions; with `force`, all that is in them."""

from collections.abc import Iterator
from typing import Final

from services.catalog.domain import reasons
from services.catalog.domain.desired import DELETE_ACTION
from services.catalog.domain.resource import Resource
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Mutation, Transact, Tx
from services.catalog.usecases import cascade, deletes, deletion_blocks, linked
from services.catalog.usecases.deletes import Deletable, Delete
from services.catalog.usecases.deletion_blocks import Block
from services.catalog.usecases.linked import Demand, authority_of
from services.catalog.usecases.updates import check_etag
from services.kernel.errors import Aborted, NotFound

_READ: Final = 1000
# As many rights as authz decides in one question, with that to the target.
_AT_ONCE: Final = 199
_ATTEMPTS: Final = 10


class _GrownError(Exception):
    """Ends a transaction in which more is to be deleted than the caller's rights were asked for."""


def delete(
    kind: Deletable,
    command: Delete,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    transact: Transact,
) -> bytes:
    """Begin to delete a resource, with all that is in it where `force` says so, or not at all.

    A repeated call answers the operation that is under way.

    Raises:
        InvalidArgument: the request is wrong.
        PermissionDenied: LINKED_PERMISSION_DENIED, the right to something in it is missing.
        NotFound: there is no such resource.
        FailedPrecondition: everything that stands in the way: RESOURCE_NOT_EMPTY,
            SOFT_DELETED_CHILDREN, STILL_SHARED, DELETION_BLOCKED_UNTIL_END_OF_LIFE,
            SOURCE_IN_USE, ENCRYPTION_SET_IN_USE.
        Aborted: ETAG_MISMATCH or SHARING_PENDING.
    """
    context.violations.raise_if_any()
    try:
        if not command.force:
            return mutation.commit(lambda tx: _delete_empty(tx, kind, command, context))
        return _delete_all(kind, command, context, mutation, transact=transact)
    except deletion_blocks.BlockedError as blocked:
        raise deletion_blocks.error_of(blocked, context) from blocked


def _delete_empty(tx: Tx, kind: Deletable, command: Delete, context: Context) -> StartedOperation:
    resource = _locked(tx, kind, command)
    under_way = tx.operations.unfinished_delete(resource.name)
    if under_way is not None:
        return under_way
    check_etag(command.etag, resource)
    deletion_blocks.refuse([*cascade.shared(resource), *_held(tx, kind, resource)])
    if command.validate_only:
        return tx.operations.preview_delete((resource.name,))
    deletes.begin(tx, kind, resource)
    return tx.operations.start_delete(
        resource.name, owner=context.caller.id, resources=(resource.name,)
    )


def _delete_all(
    kind: Deletable,
    command: Delete,
    context: Context,
    mutation: Mutation[StartedOperation],
    *,
    transact: Transact,
) -> bytes:
    """Mark everything in one transaction, once the rights to everything are known.

    They are asked for outside of the transaction, as that may take a call; where something was
    added meanwhile, again.
    """
    authority = authority_of(context, DELETE_ACTION, ())
    for _ in range(_ATTEMPTS):
        granted = _authorize(kind, command, context, transact)

        def work(tx: Tx, granted: frozenset[Demand] = granted) -> StartedOperation:
            target = _locked(tx, kind, command)
            under_way = tx.operations.unfinished_delete(target.name)
            if under_way is not None:
                return under_way
            check_etag(command.etag, target)
            found = cascade.of(tx, kind, target)
            if not granted.issuperset(cascade.demands(found)):
                raise _GrownError
            blocks = [*cascade.shared(target), *cascade.blocks(tx, found, context.clock.now())]
            deletion_blocks.refuse(blocks)
            if command.validate_only:
                return tx.operations.preview_delete(found.resources)
            cascade.begin(tx, found, authority)
            return tx.operations.start_delete(
                target.name, owner=context.caller.id, resources=found.resources
            )

        try:
            return mutation.commit(work)
        except _GrownError:
            continue
    raise Aborted(
        f"what is in {command.name.text} keeps changing",
        reason=reasons.OPERATION_IN_PROGRESS,
        metadata={"operation": ""},
    )


def _authorize(
    kind: Deletable, command: Delete, context: Context, transact: Transact
) -> frozenset[Demand]:
    """Demand the right to delete everything that is in a resource; answer what was demanded.

    Raises:
        PermissionDenied: LINKED_PERMISSION_DENIED.
    """

    def read(tx: Tx) -> list[Demand]:
        resource = kind.rows(tx).get(command.name.key)
        return [] if resource is None else cascade.demands(cascade.of(tx, kind, resource))

    name = command.name.text
    target = Demand(kind.action, name, "name")
    linked.authorize(target, [Demand(one, name, "name") for one in kind.forced], context)
    needed = transact(read)
    for start in range(0, len(needed), _AT_ONCE):
        linked.authorize(target, needed[start : start + _AT_ONCE], context)
    return frozenset(needed)


def _locked(tx: Tx, kind: Deletable, command: Delete) -> Resource:
    resource: Resource | None = kind.rows(tx).get(command.name.key, lock=True)
    if resource is None:
        raise NotFound.of(kind.resource_type, command.name.text)
    return resource


def _held(tx: Tx, kind: Deletable, resource: Resource) -> Iterator[Block]:
    """Answer what is in a resource: its children, and versions that are soft-deleted."""
    softly = tx.versions.soft_deleted(resource.key, _READ)
    known = set(softly)
    for name in kind.names_of_children(tx, resource.key, _READ):
        if name not in known:
            yield Block(
                reasons.RESOURCE_NOT_EMPTY,
                name,
                f"{resource.name} holds {name}",
                {"resource": resource.name, "children": name},
            )
    for name in softly:
        yield Block(
            reasons.SOFT_DELETED_CHILDREN,
            name,
            f"{resource.name} holds {name}, which is soft-deleted",
            {"resource": resource.name, "children": name},
        )
