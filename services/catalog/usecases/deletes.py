"""The end of resource groups, galleries and definitions, alone or with what is in them.

A deletion marks a resource DELETING and leaves the rest to the outbox: the scope is tombstoned
in authz, and only then is the row removed and the name free (DESIGN section 2). What holds
something waits for it: whoever removes the last child sends the message of its parent, in the
same transaction, so that a deletion goes on after a crash wherever it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.catalog.domain import names
from services.catalog.domain.resource import ProvisioningState, Resource
from services.catalog.ports.rows import Resources
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import source_types
from services.kernel.names import Name, key, prefixes

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
    """A kind of resource that holds others: its rows, what is in it, the right to delete it.

    `forced` are the rights that `force` needs besides, whatever is in it.
    """

    kind: str
    resource_type: str
    action: str
    rows: Callable[[Tx], Resources[Any]]
    children: Callable[[Tx], Sequence[Resources[Any]]]
    forced: tuple[str, ...] = ()

    def names_of_children(self, tx: Tx, key: str, limit: int) -> list[str]:
        """Answer the names of what is in one, at most `limit` of each kind."""
        return [name for rows in self.children(tx) for name in rows.names_below(key, limit)]


_GALLERIES: Final = "Microsoft.Compute/galleries"
VERSION_ACTION: Final = f"{_GALLERIES}/images/versions/delete"
DEFINITION: Final = Deletable(
    "definition",
    names.DEFINITION_TYPE,
    f"{_GALLERIES}/images/delete",
    lambda tx: tx.definitions,
    lambda tx: (tx.versions,),
    (VERSION_ACTION,),
)
GALLERY: Final = Deletable(
    "gallery",
    names.GALLERY_TYPE,
    f"{_GALLERIES}/delete",
    lambda tx: tx.galleries,
    lambda tx: (tx.definitions,),
    (DEFINITION.action, VERSION_ACTION),
)
GROUP: Final = Deletable(
    "group",
    names.RESOURCE_GROUP_TYPE,
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
    lambda tx: tx.groups,
    lambda tx: (tx.galleries, *(one.rows(tx) for one in source_types.ALL)),
)
KINDS: Final = {one.kind: one for one in (GROUP, GALLERY, DEFINITION)}
_BY_DEPTH: Final = {2: GROUP, 3: GALLERY, 4: DEFINITION}


def begin(tx: Tx, kind: Deletable, resource: Resource) -> None:
    """Mark a resource; it goes at once where it is empty, else when its last child is gone."""
    kind.rows(tx).update(replace(resource, state=ProvisioningState.DELETING))
    _go_if_empty(tx, kind, resource)


def finish(tx: Tx, message: dict[str, str]) -> None:
    """Remove a resource whose scope is tombstoned, and end its operation; again: nothing."""
    rows = KINDS[message["kind"]].rows(tx)
    resource: Resource | None = rows.get(message["key"], lock=True)
    if resource is None or resource.uid != message["uid"]:
        return
    rows.delete(resource.key)
    tx.operations.finish_delete(resource.name)
    child_gone(tx, resource.name)


def child_gone(tx: Tx, name: str) -> None:
    """Go on with the deletions of what held a resource that was just removed."""
    above = [one for one in prefixes(name)[1:] if _depth(one) in _BY_DEPTH]
    if not above:
        return
    kind = _BY_DEPTH[_depth(above[0])]
    # Locked, so that of the last two children one sees that the other is gone.
    holder: Resource | None = kind.rows(tx).get(key(above[0]), lock=True)
    if holder is None:
        return
    for one in above:
        tx.operations.count_deleted(one)
    if holder.deleting:
        _go_if_empty(tx, kind, holder)


def _go_if_empty(tx: Tx, kind: Deletable, resource: Resource) -> None:
    if kind.names_of_children(tx, resource.key, 1):
        return
    message = {
        "kind": kind.kind,
        "name": resource.name,
        "key": resource.key,
        "uid": resource.uid,
    }
    tx.outbox.add(resource.uid, DELETE_RESOURCE, message)


def _depth(name: str) -> int:
    return len(name.split("/")) // 2
