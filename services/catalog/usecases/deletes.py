"""Deleting resource groups, galleries and definitions: what is in the way, then the scope.

A deletion marks the resource DELETING and leaves the rest to the outbox: the scope is
tombstoned in authz, and only then is the row removed and the name free (DESIGN section 2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.catalog.domain import names, reasons
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.resource import ProvisioningState, Resource
from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.rows import Resources
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks
from services.catalog.usecases.updates import check_etag
from services.kernel.errors import Aborted, FailedPrecondition, NotFound, Unimplemented
from services.kernel.names import Name

DELETE_RESOURCE: Final = "delete_resource"
"""The outbox message that finishes a deletion: `kind`, `name`, `key` and `uid`."""


@dataclass(frozen=True, slots=True)
class Delete:
    """A resource to be deleted; `force` takes along what is in it."""

    name: Name
    etag: str = ""
    force: bool = False
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class Deletable:
    """A kind of resource that can be deleted: its rows, and what stands in the way."""

    kind: str
    resource_type: str
    rows: Callable[[Tx], Resources[Any]]
    children: Callable[[Tx, str], Sequence[str]]


def _group_children(tx: Tx, key: str) -> Sequence[str]:
    limit = checks.MOST_CHILDREN
    children: list[str] = []
    for rows in _rows_of_groups(tx):
        children += rows.names_below(key, limit)
    return children


def _rows_of_groups(tx: Tx) -> Sequence[Resources[Any]]:
    return (
        tx.galleries,
        tx.managed_images,
        tx.virtual_machines,
        tx.disks,
        tx.snapshots,
        tx.storage_accounts,
        tx.encryption_sets,
    )


GROUP: Final = Deletable("group", names.RESOURCE_GROUP_TYPE, lambda tx: tx.groups, _group_children)
GALLERY: Final = Deletable(
    "gallery",
    names.GALLERY_TYPE,
    lambda tx: tx.galleries,
    lambda tx, key: tx.definitions.names_below(key, checks.MOST_CHILDREN),
)
DEFINITION: Final = Deletable(
    "definition",
    names.DEFINITION_TYPE,
    lambda tx: tx.definitions,
    lambda tx, key: tx.versions.names_below(key, checks.MOST_CHILDREN),
)
KINDS: Final = {one.kind: one for one in (GROUP, GALLERY, DEFINITION)}


def delete(
    kind: Deletable,
    command: Delete,
    context: Context,
    mutation: Mutation[StartedOperation],
) -> bytes:
    """Begin to delete a resource group, a gallery or a definition.

    A repeated call answers the operation that is under way.

    Raises:
        InvalidArgument: the request is wrong.
        NotFound: there is no such resource.
        FailedPrecondition: RESOURCE_NOT_EMPTY or STILL_SHARED.
        Aborted: ETAG_MISMATCH or SHARING_PENDING.
    """
    context.violations.raise_if_any()
    if command.force:
        raise Unimplemented("force is not built yet: delete what is in it first")

    def work(tx: Tx) -> StartedOperation:
        rows = kind.rows(tx)
        resource = rows.get(command.name.key, lock=True)
        if resource is None:
            raise NotFound.of(kind.resource_type, command.name.text)
        check_etag(command.etag, resource)
        under_way = tx.operations.unfinished_delete(resource.name)
        if under_way is not None:
            return under_way
        _refuse_shared(resource)
        checks.refuse_children(resource.name, kind.children(tx, resource.key))
        if command.validate_only:
            return tx.operations.preview_delete((resource.name,))
        rows.update(replace(resource, state=ProvisioningState.DELETING))
        message = {
            "kind": kind.kind,
            "name": resource.name,
            "key": resource.key,
            "uid": resource.uid,
        }
        tx.outbox.add(resource.uid, DELETE_RESOURCE, message)
        return tx.operations.start_delete(
            resource.name, owner=context.caller.id, resources=(resource.name,), detail={}
        )

    return mutation.commit(work)


def finish(tx: Tx, message: dict[str, str]) -> None:
    """Remove a resource whose scope is tombstoned, and end its operation; again: nothing."""
    rows = KINDS[message["kind"]].rows(tx)
    resource: Resource | None = rows.get(message["key"], lock=True)
    if resource is None or resource.uid != message["uid"]:
        return
    rows.delete(resource.key)
    tx.operations.finish_delete(resource.name)


def _refuse_shared(resource: Resource) -> None:
    if not isinstance(resource, Gallery):
        return
    if resource.pending is not None:
        raise Aborted(
            f"a change of the sharing of {resource.name} is not finished",
            reason=reasons.SHARING_PENDING,
            metadata={"resource": resource.name},
        )
    if resource.sharing.shared:
        raise FailedPrecondition(
            f"{resource.name} is shared: ShareGallery with RESET comes first",
            reason=reasons.STILL_SHARED,
            metadata={"resource": resource.name},
        )
