"""The model: every rule behind one door.

`check` answers what is wrong with a request; `perform` does it, where nothing is, and answers what
the service must show from then on. With `validate_only` it does so without remembering it.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.kernel.clock import Clock
from tests.wire.catalog.model import changes, definitions, deletion, galleries, progress, versions
from tests.wire.catalog.model.deletion import Resource
from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.records import Operation, Version
from tests.wire.catalog.model.requests import (
    AddRegions,
    CreateDefinition,
    CreateGallery,
    CreateVersion,
    Delete,
    RemoveRegions,
    SetCounts,
    Undelete,
    UpdateDefinition,
    UpdateGallery,
    UpdateVersion,
)
from tests.wire.catalog.model.state import State
from tests.wire.catalog.model.words import Etag

Request = (
    CreateGallery
    | UpdateGallery
    | CreateDefinition
    | UpdateDefinition
    | CreateVersion
    | UpdateVersion
    | AddRegions
    | RemoveRegions
    | SetCounts
    | Delete
    | Undelete
)


@dataclass(slots=True)
class Outcome:
    """What a request must lead to."""

    resource: Resource
    operation: Operation | None = None


class Model:
    """The catalog as its specification says it is."""

    def __init__(self, subscription: str, clock: Clock) -> None:
        self.state = State(subscription, clock)

    def check(self, request: Request) -> Faults:
        """Answer what is wrong with a request."""
        faults = _CHECKS[type(request)](self.state, request)
        missing = any(code == "NOT_FOUND" for code, _ in faults.others)
        if (
            getattr(request, "etag", Etag.NONE) is Etag.STALE
            and not missing
            and not faults.repeated
        ):
            faults.add_conflict("ETAG_MISMATCH")
        return faults

    def perform(self, request: Request) -> Outcome:
        """Do what a request says that nothing is wrong with."""
        state = copy.deepcopy(self.state) if request.validate_only else self.state
        if type(request) in _LONG:
            return Outcome(*_LONG[type(request)](state, request))
        return Outcome(_PLAIN[type(request)](state, request))

    def tell(self, event: progress.Event) -> None:
        """Take up what replication tells of a version."""
        version = self.state.by_uid(event.uid)
        if version is not None:
            progress.apply(self.state, version, event)


_CHECKS: Final[Mapping[type, Callable[[State, Any], Faults]]] = {
    CreateGallery: galleries.check_create,
    UpdateGallery: galleries.check_update,
    CreateDefinition: definitions.check_create,
    UpdateDefinition: definitions.check_update,
    CreateVersion: versions.check_create,
    UpdateVersion: versions.check_update,
    AddRegions: changes.check_add,
    RemoveRegions: changes.check_remove,
    SetCounts: changes.check_set,
    Delete: deletion.check_delete,
    Undelete: deletion.check_undelete,
}
_PLAIN: Final[Mapping[type, Callable[[State, Any], Resource]]] = {
    CreateGallery: galleries.create,
    UpdateGallery: galleries.update,
    CreateDefinition: definitions.create,
    UpdateDefinition: definitions.update,
    Delete: deletion.delete,
}
_LONG: Final[Mapping[type, Callable[[State, Any], tuple[Version, Operation]]]] = {
    CreateVersion: versions.create,
    UpdateVersion: versions.update,
    AddRegions: changes.add,
    RemoveRegions: changes.remove,
    SetCounts: changes.set_counts,
    Undelete: deletion.undelete,
}
