"""Rules of finding versions: gallery-semantics 3.9 and section 0; image_resolution.proto; lists."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.wire.catalog.model import deletion
from tests.wire.catalog.model.definitions import find
from tests.wire.catalog.model.faults import Faults
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.records import Definition, Version
from tests.wire.catalog.model.requests import Resolve
from tests.wire.catalog.model.state import State, last, number, parent
from tests.wire.catalog.model.versions import missing


@dataclass(slots=True)
class Resolution:
    """What ResolveImageVersion must answer."""

    faults: Faults = field(default_factory=Faults)
    version: Version | None = None
    # Where there is one, if not here.
    available: frozenset[str] | None = None


def resolve(state: State, request: Resolve) -> Resolution:
    found = Resolution()
    depth = request.image.count("/") + 1
    if not request.location:
        found.faults.fields["location"] = ""
    elif place(request.location) is None:
        found.faults.fields["location"] = "REGION_UNKNOWN"
    if (request.identifier is not None) is not (depth == 6):
        found.faults.fields["identifier"] = ""
    if found.faults.fields:
        return found
    if depth == 10 and last(request.image) != "latest":
        _by_number(state, request, found)
        return found
    definition = _definition(state, request, found)
    if definition is not None:
        _latest(state, definition, request, found)
    return found


def get(state: State, name: str) -> Faults:
    """What is wrong with a Get of a gallery, a definition or a version."""
    faults = Faults()
    is_version = name.count("/") == 9
    if is_version and number(last(name)) is None:
        # Whether a name that no version can have is malformed, or only of none, is left open.
        faults.others += [
            ("INVALID_ARGUMENT", "INVALID_FIELDS"),
            ("NOT_FOUND", "RESOURCE_NOT_FOUND"),
        ]
    elif deletion.find(state, name) is None:
        reasons = missing(state, name) if is_version else ("RESOURCE_NOT_FOUND",)
        faults.add_missing(*reasons)
    return faults


def _definition(state: State, request: Resolve, found: Resolution) -> Definition | None:
    if request.identifier is None:
        name = request.image if request.image.count("/") == 7 else parent(request.image)
        definition = state.definition(name)
        if definition is None:
            found.faults.add_missing("RESOURCE_NOT_FOUND")
        return definition
    gallery = state.gallery(request.image)
    if gallery is None:
        found.faults.add_missing("RESOURCE_NOT_FOUND")
        return None
    definition = find(gallery, request.identifier)
    if definition is None:
        found.faults.add_missing("IMAGE_IDENTIFIER_NOT_FOUND")
    return definition


def _by_number(state: State, request: Resolve, found: Resolution) -> None:
    version = state.version(request.image)
    if version is None:
        found.faults.add_missing(*missing(state, request.image))
    elif place(request.location) in version.usable_in(state.now):
        found.version = version
    else:
        found.faults.add_missing("NOT_IN_REGION")
        found.available = frozenset(version.usable_in(state.now))


def _latest(state: State, definition: Definition, request: Resolve, found: Resolution) -> None:
    offered = {
        version.number: offered_in(version, state)
        for version in definition.versions.values()
        if offered_in(version, state)
    }
    where = place(request.location)
    here = [number for number, regions in offered.items() if where in regions]
    if here:
        found.version = definition.versions[max(here)]
    elif offered:
        found.faults.add_missing("NOT_IN_REGION")
        found.available = frozenset().union(*offered.values())
    else:
        found.faults.add_missing("NO_LATEST")


def offered_in(version: Version, state: State) -> frozenset[str]:
    """The regions in which `latest` may answer a version."""
    if version.soft_deleted or version.deleting:
        return frozenset()
    own = {one.location: one.exclude for one in version.targets}
    return frozenset(
        where
        for where in version.usable_in(state.now)
        if not (version.exclude if own[where] is None else own[where])
    )


def listed(versions: Iterable[Version], *, deleted: bool) -> list[str]:
    """The names of a list of versions, in the order of their numbers as numbers."""
    shown = [one for one in versions if deleted or not one.soft_deleted]
    return [one.name for one in sorted(shown, key=lambda one: one.number)]


FILTERS: Final[Mapping[str, Callable[[Version], bool]]] = {
    "exclude_from_latest = true": lambda one: one.exclude,
    'location = "eastus" AND tags.a = "1"': lambda one: (
        one.location == "eastus" and one.tags.get("a") == "1"
    ),
    'target_regions.location : "eastus2"': lambda one: one.target("eastus2") is not None,
    "generation >= 2": lambda one: one.generation >= 2,
}
