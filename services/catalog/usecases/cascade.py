"""Everything that goes with a resource group, a gallery or a definition, children first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.catalog.domain import reasons
from services.catalog.domain.definition import Definition
from services.catalog.domain.desired import Authority
from services.catalog.domain.gallery import Gallery
from services.catalog.domain.resource import ProvisioningState, Resource
from services.catalog.domain.version import Version
from services.catalog.ports.transaction import Tx
from services.catalog.usecases import (
    deletes,
    deletion_blocks,
    source_holds,
    source_types,
    version_delete,
)
from services.catalog.usecases.deletes import DEFINITION, GALLERY, GROUP, VERSION_ACTION, Deletable
from services.catalog.usecases.deletion_blocks import Block
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.source_types import type_of
from services.kernel.errors import Aborted


@dataclass(frozen=True, slots=True)
class Cascade:
    """A resource with all that is in it, at one moment and locked."""

    kind: Deletable
    target: Resource
    versions: Sequence[Version]
    definitions: Sequence[Definition] = ()
    galleries: Sequence[Gallery] = ()
    sources: Sequence[Resource] = ()

    @property
    def below(self) -> list[Resource]:
        """What goes with the target, children before what holds them."""
        ordered = sorted(self.versions, key=lambda one: (one.key.rpartition("/")[0], one.number))
        return [*ordered, *self.definitions, *self.galleries, *self.sources]

    @property
    def resources(self) -> list[str]:
        """The names of all, children before what holds them, the target last."""
        return [*(one.name for one in self.below), self.target.name]


def of(tx: Tx, kind: Deletable, target: Resource) -> Cascade:
    """Read and lock everything that is in a resource; parents first, as whoever creates does."""
    galleries = tx.galleries.within(target.key) if kind is GROUP else ()
    definitions = tx.definitions.within(target.key) if kind is not DEFINITION else ()
    versions = tx.versions.within(target.key)
    sources: list[Resource] = []
    if kind is GROUP:
        for one in source_types.ALL:
            sources += one.rows(tx).within(target.key)
    return Cascade(kind, target, versions, definitions, galleries, sources)


def demands(cascade: Cascade) -> list[Demand]:
    """Answer the rights that are needed to delete everything that goes with the target."""
    return [
        *(Demand(VERSION_ACTION, one.name, "name") for one in cascade.versions),
        *(Demand(DEFINITION.action, one.name, "name") for one in cascade.definitions),
        *(Demand(GALLERY.action, one.name, "name") for one in cascade.galleries),
        *(
            Demand(f"{type_of(one.name).actions}/delete", one.name, "name")
            for one in cascade.sources
        ),
    ]


def blocks(tx: Tx, cascade: Cascade, now: datetime) -> Iterator[Block]:
    """Answer everything that forbids the deletion.

    Raises:
        Aborted: SHARING_PENDING.
    """
    for gallery in cascade.galleries:
        yield from shared(gallery)
    for version in cascade.versions:
        yield from deletion_blocks.of_version(version, now)
    needed = [*cascade.versions, *cascade.sources]
    yield from deletion_blocks.of_uses(tx, cascade.target.key, needed)


def shared(resource: Resource) -> Iterator[Block]:
    """Answer that a gallery is still shared (gallery-semantics 3.6).

    Raises:
        Aborted: SHARING_PENDING.
    """
    if not isinstance(resource, Gallery):
        return
    if resource.pending is not None:
        raise Aborted(
            f"a change of the sharing of {resource.name} is not finished",
            reason=reasons.SHARING_PENDING,
            metadata={"resource": resource.name},
        )
    if resource.sharing.shared:
        yield Block(
            reasons.STILL_SHARED,
            resource.name,
            f"{resource.name} is shared: ShareGallery with RESET comes first",
            {"resource": resource.name},
        )


def begin(tx: Tx, cascade: Cascade, authority: Authority) -> None:
    """Mark everything DELETING at once: from now on nothing of it is used, changed or added to.

    What is on its way out already goes on as it was.
    """
    for version in cascade.versions:
        if not version.deleting:
            version_delete.begin(tx, version, authority)
    for source in cascade.sources:
        if not source.deleting:
            type_of(source.name).rows(tx).update(replace(source, state=ProvisioningState.DELETING))
            message = source_holds.message_of(source)
            tx.outbox.add(source.uid, source_holds.DELETE_SOURCE, message)
    for definition in cascade.definitions:
        if not definition.deleting:
            deletes.begin(tx, DEFINITION, definition)
    for gallery in cascade.galleries:
        if not gallery.deleting:
            deletes.begin(tx, GALLERY, gallery)
    deletes.begin(tx, cascade.kind, cascade.target)
