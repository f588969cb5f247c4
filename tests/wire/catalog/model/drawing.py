"""Random requests: mostly about what exists, often valid, small enough to collide."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.wire.catalog.model import definitions, galleries, versions
from tests.wire.catalog.model.choosing import (
    FUTURE,
    MALFORMED,
    NUMBERS,
    PAST,
    REGIONS,
    TAGS,
    TEXTS,
    Choosing,
    Draw,
    masked,
)
from tests.wire.catalog.model.progress import Event
from tests.wire.catalog.model.records import Row, Version
from tests.wire.catalog.model.requests import (
    AddRegions,
    CreateDefinition,
    CreateGallery,
    CreateVersion,
    Delete,
    RemoveRegions,
    Resolve,
    SetCounts,
    Undelete,
    UpdateDefinition,
    UpdateGallery,
    UpdateVersion,
)
from tests.wire.catalog.model.state import State
from tests.wire.catalog.model.words import RegionState, Wait


@st.composite
def drawn(draw: Draw[Any], state: State, what: str, *about: Any, careful: bool = False) -> Any:
    """What a method of Drawing answers, as one value."""
    return getattr(Drawing(draw, state, careful=careful), what)(*about)


class Drawing(Choosing):
    """Draws requests about one state."""

    def create_gallery(self) -> CreateGallery:
        groups = [*self.state.groups.values()]
        absent = f"{self.state.subscription}/resourceGroups/absent"
        return CreateGallery(
            parent=self.mostly(groups, absent),
            id=self.mostly(("Gold", "gold", "si.lver_1", "B"), self.one("a-b", "_a", "a.", "")),
            location=self.location(),
            description=self.mostly(TEXTS, "x" * 4097),
            tags=self.one(*TAGS),
            soft_delete=self.policy(),
            validate_only=self.chance(8),
        )

    def update_gallery(self) -> UpdateGallery:
        request = UpdateGallery(
            name=self.gallery(),
            mask=self.mask(galleries.MUTABLE, galleries.IMMUTABLE),
            location=self.one(*REGIONS),
            description=self.mostly(TEXTS, "x" * 4097),
            tags=self.one(*TAGS),
            soft_delete=self.policy(),
            etag=self.etag(),
            validate_only=self.chance(8),
        )
        return masked(request, galleries.MUTABLE)

    def create_definition(self) -> CreateDefinition:
        return CreateDefinition(
            parent=self.gallery(),
            id=self.mostly(("web", "Web", "d-b", "x.y"), self.one("-a", "a_", "")),
            location=self.location(),
            publisher=self.mostly(("Acme", "ACME", "other"), self.one("", "dot.", "sp ace")),
            offer=self.mostly(("os",), "x" * 65),
            sku=self.mostly(("a", "A", "b", "c"), "é"),
            os_type=self.mostly(("LINUX", "WINDOWS"), "UNSPECIFIED"),
            os_state=self.mostly(("GENERALIZED", "SPECIALIZED"), "UNSPECIFIED"),
            generation=self.one("UNSPECIFIED", "V1", "V2"),
            description=self.one(*TEXTS),
            end_of_life=self.mostly((None, FUTURE), PAST),
            vcpus=self.mostly((None, (1, 4)), self.one((4, 1), (1, 81))),
            features=self.features(),
            tags=self.one(*TAGS),
            validate_only=self.chance(8),
        )

    def update_definition(self) -> UpdateDefinition:
        request = UpdateDefinition(
            name=self.definition(),
            mask=self.mask(definitions.MUTABLE, definitions.IMMUTABLE),
            os_type=self.one("LINUX", "WINDOWS"),
            sku=self.one("a", "A", "b"),
            location=self.one(*REGIONS),
            description=self.one(*TEXTS),
            end_of_life=self.mostly((None, FUTURE), PAST),
            vcpus=self.mostly((None, (1, 4), (2, 8)), (4, 1)),
            features=self.features(),
            tags=self.one(*TAGS),
            allow_update_image=self.one(True, False),
            etag=self.etag(),
            validate_only=self.chance(8),
        )
        return masked(request, definitions.MUTABLE)

    def create_version(self) -> CreateVersion:
        home = self.location()
        return CreateVersion(
            parent=self.definition(),
            number=self.mostly(NUMBERS, self.one(*MALFORMED)),
            location=home,
            targets=self.targets(home),
            count=self.count(),
            exclude=self.one(None, None, False, True),
            storage=self.storage(),
            end_of_life=self.one(None, None, PAST, FUTURE),
            guard=self.one(None, True, False),
            block=self.one(None, None, False, True),
            tags=self.one(*TAGS),
            sourceless=not self.careful and self.chance(8),
            wait=self.one(*Wait),
            validate_only=self.chance(8),
        )

    def update_version(self) -> UpdateVersion:
        name = self.version()
        found = self.state.version(name)
        home = found.location if found else "eastus"
        request = UpdateVersion(
            name=name,
            mask=self.mask(versions.MUTABLE, versions.IMMUTABLE),
            location=self.one(home, *REGIONS),
            targets=self.targets(home),
            count=self.count(),
            exclude=self.one(None, False, True),
            storage=self.storage(),
            end_of_life=self.one(None, PAST, FUTURE),
            guard=self.one(None, True, False),
            block=self.one(None, False, True),
            tags=self.one(*TAGS),
            wait=self.one(*Wait),
            etag=self.etag(),
            validate_only=self.chance(8),
        )
        return masked(request, versions.MUTABLE)

    def add_regions(self) -> AddRegions:
        return AddRegions(self.version(), self.distinct(self.target), *self.change())

    def remove_regions(self) -> RemoveRegions:
        return RemoveRegions(self.version(), self.distinct(self.location), *self.change())

    def set_counts(self) -> SetCounts:
        regions = self.distinct(lambda: (self.location(), self.count()))
        count = self.count()
        if count is not None and self.chance(3):
            regions = ()
        return SetCounts(self.version(), count, regions, *self.change())

    def undelete(self) -> Undelete:
        kept = [one.name for one in self.state.versions() if one.soft_deleted]
        return Undelete(self.mostly(kept, self.version()), *self.change())

    def delete_version(self) -> Delete:
        return Delete(
            self.version(),
            purge=self.chance(3),
            etag=self.etag(),
            validate_only=self.chance(8),
        )

    def delete_parent(self) -> Delete:
        return Delete(
            self.one(self.gallery, self.definition)(),
            force=self.chance(4),
            etag=self.etag(),
            validate_only=self.chance(4),
        )

    def resolve(self) -> Resolve:
        image = self.one(
            self.definition,
            lambda: f"{self.definition()}/versions/latest",
            self.version,
            self.gallery,
        )()
        identified = image.count("/") == 5
        if not self.careful and self.chance(4):
            identified = not identified
        triple = (self.one("ACME", "other"), "OS", self.one("a", "B", "c"))
        return Resolve(image, self.location(), triple if identified else None)

    def gallery(self) -> str:
        names = [one.name for one in self.state.galleries.values()]
        return self._named(names, f"{self._group()}/galleries/absent")

    def definition(self) -> str:
        names = [one.name for one in self.state.definitions()]
        return self._named(names, f"{self._gallery()}/images/absent")

    def version(self) -> str:
        """Of one that exists, mostly; in another spelling, now and then."""
        names = [one.name for one in self.state.versions()]
        definition = self._definition()
        other = f"{definition}/versions/{self.one(*NUMBERS)}"
        return self._named([*names * 6, other], other)

    def malformed(self) -> str:
        """A name that no version can have."""
        return f"{self._definition()}/versions/{self.one(*MALFORMED[:-1])}"

    def event(self, version: Version, ensured: Sequence[int]) -> Event | None:
        """Something that replication may tell of a version now."""
        row = self.one(*version.rows.values())
        told = [one for one in ensured if one >= max(row.added, version.told)]
        generation = self.one(version.generation, version.generation, *told)
        if row.removed is not None:
            return self._removal(version, row, generation)
        count = version.wishes[generation][row.location]
        choices = [(RegionState.COMPLETED, True, count), (RegionState.COMPLETED, True, count)]
        again = row.state in {RegionState.FAILED, RegionState.CANCELLED}
        if row.cancelling:
            choices += [(RegionState.CANCELLED, row.usable, row.good)] * 3
        if generation > row.observed or again:
            choices += [
                (RegionState.REPLICATING, row.usable, row.good),
                (RegionState.FAILED, row.usable, row.good),
            ]
        if row.completed and generation <= row.observed and not again:
            choices.append((RegionState.DEGRADED, False, 0))
            if count > 1:
                choices.append((RegionState.DEGRADED, True, 1))
        return Event(version.uid, row.location, generation, *self.one(*choices))

    def _removal(self, version: Version, row: Row, generation: int) -> Event | None:
        assert row.removed is not None
        if generation >= row.removed:
            return Event(version.uid, row.location, generation, RegionState.REMOVED, False, 0)
        # What was told before replication knew that the region goes.
        return Event(version.uid, row.location, generation, RegionState.COMPLETED, True, 1)

    def _group(self) -> str:
        return self.one(*self.state.groups.values())

    def _gallery(self) -> str:
        names = [one.name for one in self.state.galleries.values()]
        return self.one(*names) if names else f"{self._group()}/galleries/absent"

    def _definition(self) -> str:
        names = [one.name for one in self.state.definitions()]
        return self.one(*names) if names else f"{self._gallery()}/images/absent"

    def _named(self, names: Sequence[str], otherwise: str) -> str:
        found = self.mostly(names, otherwise)
        if self.chance(8):
            head, _, tail = found.rpartition("/")
            found = f"{head}/{tail.swapcase() if tail.swapcase() != tail else '0' + tail}"
        return found
