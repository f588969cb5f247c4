"""Random requests: mostly about what exists, often valid, small enough to collide."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from tests.wire.catalog.model import definitions, galleries, versions
from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.progress import Event
from tests.wire.catalog.model.records import Row, Version
from tests.wire.catalog.model.requests import (
    AddRegions,
    CreateDefinition,
    CreateGallery,
    CreateVersion,
    Delete,
    Feature,
    RemoveRegions,
    Resolve,
    SetCounts,
    SoftDelete,
    Tags,
    Target,
    Undelete,
    UpdateDefinition,
    UpdateGallery,
    UpdateVersion,
)
from tests.wire.catalog.model.state import State
from tests.wire.catalog.model.words import Etag, RegionState, Storage, Wait

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[T]], T]
PAST: Final = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE: Final = datetime(2099, 1, 1, tzinfo=UTC)
_TEXTS: Final = ("", "a text", "another")
_TAGS: Final[tuple[Tags, ...]] = ((), (("a", "1"),), (("a", "2"), ("b", "")))
_REGIONS: Final = ("eastus", "eastus2", "westus")
_SPELLINGS: Final = {
    "eastus": ("eastus", "East US"),
    "eastus2": ("eastus2", "East US 2"),
    "westus": ("westus", "west us"),
}
_NUMBERS: Final = ("1.0.0", "1.0.9", "1.0.10", "01.0.0", "2.0.0", "2.00.0", "2147483647.0.1")
_MALFORMED: Final = ("1.0", "1.0.x", "latest", "2147483648.0.0", "1.0.0.0", "")


# The fields of the requests by the paths of masks, where they are called otherwise.
_FIELDS: Final = {
    "soft_delete": "soft_delete_policy",
    "end_of_life": "end_of_life_time",
    "vcpus": "recommended",
    "sku": "identifier.sku",
    "targets": "target_regions",
    "count": "replica_count",
    "exclude": "exclude_from_latest",
    "storage": "storage_account_type",
    "guard": "safety_profile.allow_deletion_of_replicated_locations",
    "block": "safety_profile.block_deletion_before_end_of_life",
}
_ALWAYS: Final = frozenset({"name", "mask", "etag", "wait", "validate_only", "allow_update_image"})
Update = TypeVar("Update", UpdateGallery, UpdateDefinition, UpdateVersion)


def _masked(request: Update, mutable: frozenset[str]) -> Update:
    """Without what the mask leaves out: what such a field may hold is left open."""
    mask = request.mask
    kept = mutable if mask is None or "*" in mask else frozenset(mask)
    plain: dict[str, Any] = {}
    for one in fields(request):
        if one.name not in _ALWAYS and _FIELDS.get(one.name, one.name) not in kept:
            plain[one.name] = one.default
    return replace(request, **plain)


@st.composite
def drawn(draw: Draw[Any], state: State, what: str, *about: Any, careful: bool = False) -> Any:
    """What a method of Drawing answers, as one value."""
    return getattr(Drawing(draw, state, careful=careful), what)(*about)


def _location_of(thing: object) -> str:
    if isinstance(thing, Target):
        return thing.location
    return thing[0] if isinstance(thing, tuple) else str(thing)


class Drawing:
    """Draws requests about one state."""

    def __init__(self, draw: Draw[Any], state: State, *, careful: bool = False) -> None:
        self._draw = draw
        self._state = state
        # Whether everything drawn is as it should be by itself; against what is there it may fail.
        self._careful = careful or not self.chance(3)

    def one(self, *choices: T) -> T:
        found: T = self._draw(st.sampled_from(choices))
        return found

    def chance(self, of: int) -> bool:
        """True once in so many times."""
        found: int = self._draw(st.integers(0, of - 1))
        return found == of - 1

    def create_gallery(self) -> CreateGallery:
        groups = [*self._state.groups.values()]
        absent = f"{self._state.subscription}/resourceGroups/absent"
        return CreateGallery(
            parent=self._mostly(groups, absent),
            id=self._mostly(("Gold", "gold", "si.lver_1", "B"), self.one("a-b", "_a", "a.", "")),
            location=self._location(),
            description=self._mostly(_TEXTS, "x" * 4097),
            tags=self.one(*_TAGS),
            soft_delete=self._policy(),
            validate_only=self.chance(8),
        )

    def update_gallery(self) -> UpdateGallery:
        request = UpdateGallery(
            name=self.gallery(),
            mask=self._mask(galleries.MUTABLE, galleries.IMMUTABLE),
            location=self.one(*_REGIONS),
            description=self._mostly(_TEXTS, "x" * 4097),
            tags=self.one(*_TAGS),
            soft_delete=self._policy(),
            etag=self._etag(),
            validate_only=self.chance(8),
        )
        return _masked(request, galleries.MUTABLE)

    def create_definition(self) -> CreateDefinition:
        return CreateDefinition(
            parent=self.gallery(),
            id=self._mostly(("web", "Web", "d-b", "x.y"), self.one("-a", "a_", "")),
            location=self._location(),
            publisher=self._mostly(("Acme", "ACME", "other"), self.one("", "dot.", "sp ace")),
            offer=self._mostly(("os",), "x" * 65),
            sku=self._mostly(("a", "A", "b", "c"), "é"),
            os_type=self._mostly(("LINUX", "WINDOWS"), "UNSPECIFIED"),
            os_state=self._mostly(("GENERALIZED", "SPECIALIZED"), "UNSPECIFIED"),
            generation=self.one("UNSPECIFIED", "V1", "V2"),
            description=self.one(*_TEXTS),
            end_of_life=self._mostly((None, FUTURE), PAST),
            vcpus=self._mostly((None, (1, 4)), self.one((4, 1), (1, 81))),
            features=self._features(),
            tags=self.one(*_TAGS),
            validate_only=self.chance(8),
        )

    def update_definition(self) -> UpdateDefinition:
        request = UpdateDefinition(
            name=self.definition(),
            mask=self._mask(definitions.MUTABLE, definitions.IMMUTABLE),
            os_type=self.one("LINUX", "WINDOWS"),
            sku=self.one("a", "A", "b"),
            location=self.one(*_REGIONS),
            description=self.one(*_TEXTS),
            end_of_life=self._mostly((None, FUTURE), PAST),
            vcpus=self._mostly((None, (1, 4), (2, 8)), (4, 1)),
            features=self._features(),
            tags=self.one(*_TAGS),
            allow_update_image=self.one(True, False),
            etag=self._etag(),
            validate_only=self.chance(8),
        )
        return _masked(request, definitions.MUTABLE)

    def create_version(self) -> CreateVersion:
        home = self._location()
        return CreateVersion(
            parent=self.definition(),
            number=self._mostly(_NUMBERS, self.one(*_MALFORMED)),
            location=home,
            targets=self._targets(home),
            count=self._count(),
            exclude=self.one(None, None, False, True),
            storage=self._storage(),
            end_of_life=self.one(None, None, PAST, FUTURE),
            guard=self.one(None, True, False),
            block=self.one(None, None, False, True),
            tags=self.one(*_TAGS),
            sourceless=not self._careful and self.chance(8),
            wait=self.one(*Wait),
            validate_only=self.chance(8),
        )

    def update_version(self) -> UpdateVersion:
        name = self.version()
        found = self._state.version(name)
        home = found.location if found else "eastus"
        request = UpdateVersion(
            name=name,
            mask=self._mask(versions.MUTABLE, versions.IMMUTABLE),
            location=self.one(home, *_REGIONS),
            targets=self._targets(home),
            count=self._count(),
            exclude=self.one(None, False, True),
            storage=self._storage(),
            end_of_life=self.one(None, PAST, FUTURE),
            guard=self.one(None, True, False),
            block=self.one(None, False, True),
            tags=self.one(*_TAGS),
            wait=self.one(*Wait),
            etag=self._etag(),
            validate_only=self.chance(8),
        )
        return _masked(request, versions.MUTABLE)

    def add_regions(self) -> AddRegions:
        return AddRegions(self.version(), self._distinct(self._target), *self._change())

    def remove_regions(self) -> RemoveRegions:
        return RemoveRegions(self.version(), self._distinct(self._location), *self._change())

    def set_counts(self) -> SetCounts:
        regions = self._distinct(lambda: (self._location(), self._count()))
        count = self._count()
        if count is not None and self.chance(3):
            regions = ()
        return SetCounts(self.version(), count, regions, *self._change())

    def undelete(self) -> Undelete:
        kept = [one.name for one in self._state.versions() if one.soft_deleted]
        return Undelete(self._mostly(kept, self.version()), *self._change())

    def delete_version(self) -> Delete:
        return Delete(
            self.version(),
            purge=self.chance(3),
            etag=self._etag(),
            validate_only=self.chance(8),
        )

    def delete_parent(self) -> Delete:
        return Delete(
            self.one(self.gallery, self.definition)(),
            force=self.chance(4),
            etag=self._etag(),
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
        if not self._careful and self.chance(4):
            identified = not identified
        triple = (self.one("ACME", "other"), "OS", self.one("a", "B", "c"))
        return Resolve(image, self._location(), triple if identified else None)

    def gallery(self) -> str:
        names = [one.name for one in self._state.galleries.values()]
        return self._named(names, f"{self._group()}/galleries/absent")

    def definition(self) -> str:
        names = [one.name for one in self._state.definitions()]
        return self._named(names, f"{self._gallery()}/images/absent")

    def version(self) -> str:
        """Of one that exists, mostly; in another spelling, now and then."""
        names = [one.name for one in self._state.versions()]
        definition = self._definition()
        other = f"{definition}/versions/{self.one(*_NUMBERS)}"
        return self._named([*names * 6, other], other)

    def malformed(self) -> str:
        """A name that no version can have."""
        return f"{self._definition()}/versions/{self.one(*_MALFORMED[:-1])}"

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
        return self.one(*self._state.groups.values())

    def _gallery(self) -> str:
        names = [one.name for one in self._state.galleries.values()]
        return self.one(*names) if names else f"{self._group()}/galleries/absent"

    def _definition(self) -> str:
        names = [one.name for one in self._state.definitions()]
        return self.one(*names) if names else f"{self._gallery()}/images/absent"

    def _named(self, names: Sequence[str], otherwise: str) -> str:
        found = self._mostly(names, otherwise)
        if self.chance(8):
            head, _, tail = found.rpartition("/")
            found = f"{head}/{tail.swapcase() if tail.swapcase() != tail else '0' + tail}"
        return found

    def _mostly(self, usual: Sequence[T], otherwise: T) -> T:
        if not usual or (not self._careful and self.chance(6)):
            return otherwise
        return self.one(*usual)

    def _change(self) -> tuple[Wait, Etag, bool]:
        return self.one(*Wait), self._etag(), self.chance(8)

    def _etag(self) -> Etag:
        return self.one(*[Etag.NONE] * 6, Etag.CURRENT, Etag.CURRENT, Etag.STALE)

    def _location(self) -> str:
        region = self.one(*["eastus"] * 5, *_REGIONS)
        return self._mostly(_SPELLINGS[region], self.one("mars", ""))

    def _count(self) -> int | None:
        return self._mostly((None, None, None, 1, 1, 2), self.one(0, 3, 5, 101))

    def _storage(self) -> Storage:
        usual = (Storage.UNSPECIFIED,) * 9 + (Storage.STANDARD_LRS,)
        return self._mostly(usual, self.one(Storage.STANDARD_ZRS, Storage.PREMIUM_LRS))

    def _target(self) -> Target:
        return self._target_at(self._location())

    def _target_at(self, location: str) -> Target:
        storage = self._storage() if self.chance(4) else Storage.UNSPECIFIED
        return Target(location, self._count(), storage, self.one(None, None, None, True, False))

    def _targets(self, home: str) -> tuple[Target, ...]:
        if not self._careful and self.chance(4):
            return self._some(self._target, least=0)
        others = self._draw(st.permutations(_REGIONS))[: self.one(0, 1, 2, 3)]
        plain = home.replace(" ", "").lower()
        chosen = [home, *(one for one in others if one != plain)]
        return tuple(self._target_at(one) for one in chosen)

    def _distinct(self, make: Callable[[], T]) -> tuple[T, ...]:
        """One to three; where care is taken, none of them twice."""
        found = self._some(make, least=int(self._careful))
        if not self._careful:
            return found
        kept = {place(_location_of(one)): one for one in found}
        return tuple(kept.values())

    def _some(self, make: Callable[[], T], *, least: int) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.one(*range(least, 4))))

    def _policy(self) -> SoftDelete | None:
        kept = SoftDelete(enabled=True, retention_hours=2, grace_hours=1)
        return self.one(None, kept, kept, SoftDelete(enabled=True), SoftDelete(enabled=False))

    def _features(self) -> tuple[Feature, ...]:
        usual: tuple[tuple[Feature, ...], ...] = (
            (),
            (),
            (Feature("IsHibernateSupported", "True"),),
            (Feature("ishibernatesupported", "false"),),
        )
        unusual: tuple[tuple[Feature, ...], ...] = (
            (Feature("Unknown", "x"),),
            (Feature("IsHibernateSupported", "maybe"),),
            (Feature("SecurityType", "TrustedLaunchSupported"),),
            (Feature("IsHibernateSupported", "True"), Feature("isHibernateSupported", "True")),
        )
        return self._mostly(usual, self.one(*unusual))

    def _mask(self, mutable: frozenset[str], immutable: frozenset[str]) -> tuple[str, ...] | None:
        paths = sorted(mutable)
        kind = self.one("none", "all", "one", "one", "some", "some")
        if not self._careful and self.chance(3):
            kind = "odd"
        if kind == "none":
            return None
        if kind == "all":
            return ("*",)
        if kind == "odd":
            return (self.one(*paths), self.one("no_such_field", *sorted(immutable)))
        chosen: Sequence[str] = self._draw(st.permutations(paths))
        return tuple(chosen[: 1 if kind == "one" else 2])
