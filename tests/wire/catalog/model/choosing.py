"""The values of random requests, as they should be or not."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from tests.wire.catalog.model.places import place
from tests.wire.catalog.model.requests import (
    Feature,
    SoftDelete,
    Tags,
    Target,
    UpdateDefinition,
    UpdateGallery,
    UpdateVersion,
)
from tests.wire.catalog.model.state import State
from tests.wire.catalog.model.words import Etag, Storage, Wait

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[T]], T]
PAST: Final = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE: Final = datetime(2099, 1, 1, tzinfo=UTC)
TEXTS: Final = ("", "a text", "another")
TAGS: Final[tuple[Tags, ...]] = ((), (("a", "1"),), (("a", "2"), ("b", "")))
REGIONS: Final = ("eastus", "eastus2", "westus")
_SPELLINGS: Final = {
    "eastus": ("eastus", "East US"),
    "eastus2": ("eastus2", "East US 2"),
    "westus": ("westus", "west us"),
}
NUMBERS: Final = ("1.0.0", "1.0.9", "1.0.10", "01.0.0", "2.0.0", "2.00.0", "2147483647.0.1")
MALFORMED: Final = ("1.0", "1.0.x", "latest", "2147483648.0.0", "1.0.0.0", "")


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


def masked(request: Update, mutable: frozenset[str]) -> Update:
    """Without what the mask leaves out: what such a field may hold is left open."""
    mask = request.mask
    kept = mutable if mask is None or "*" in mask else frozenset(mask)
    plain: dict[str, Any] = {}
    for one in fields(request):
        if one.name not in _ALWAYS and _FIELDS.get(one.name, one.name) not in kept:
            plain[one.name] = one.default
    return replace(request, **plain)


def _location_of(thing: object) -> str:
    if isinstance(thing, Target):
        return thing.location
    return thing[0] if isinstance(thing, tuple) else str(thing)


class Choosing:
    """Chooses values for requests about one state."""

    def __init__(self, draw: Draw[Any], state: State, *, careful: bool = False) -> None:
        self.draw = draw
        self.state = state
        # Whether everything drawn is as it should be by itself; against what is there it may fail.
        self.careful = careful or not self.chance(3)

    def one(self, *choices: T) -> T:
        found: T = self.draw(st.sampled_from(choices))
        return found

    def chance(self, of: int) -> bool:
        """True once in so many times."""
        found: int = self.draw(st.integers(0, of - 1))
        return found == of - 1

    def mostly(self, usual: Sequence[T], otherwise: T) -> T:
        if not usual or (not self.careful and self.chance(6)):
            return otherwise
        return self.one(*usual)

    def change(self) -> tuple[Wait, Etag, bool]:
        return self.one(*Wait), self.etag(), self.chance(8)

    def etag(self) -> Etag:
        return self.one(*[Etag.NONE] * 6, Etag.CURRENT, Etag.CURRENT, Etag.STALE)

    def location(self) -> str:
        region = self.one(*["eastus"] * 5, *REGIONS)
        return self.mostly(_SPELLINGS[region], self.one("mars", ""))

    def count(self) -> int | None:
        return self.mostly((None, None, None, 1, 1, 2), self.one(0, 3, 5, 101))

    def storage(self) -> Storage:
        usual = (Storage.UNSPECIFIED,) * 9 + (Storage.STANDARD_LRS,)
        return self.mostly(usual, self.one(Storage.STANDARD_ZRS, Storage.PREMIUM_LRS))

    def target(self) -> Target:
        return self.target_at(self.location())

    def target_at(self, location: str) -> Target:
        storage = self.storage() if self.chance(4) else Storage.UNSPECIFIED
        return Target(location, self.count(), storage, self.one(None, None, None, True, False))

    def targets(self, home: str) -> tuple[Target, ...]:
        if not self.careful and self.chance(4):
            return self.some(self.target, least=0)
        others = self.draw(st.permutations(REGIONS))[: self.one(0, 1, 2, 3)]
        plain = home.replace(" ", "").lower()
        chosen = [home, *(one for one in others if one != plain)]
        return tuple(self.target_at(one) for one in chosen)

    def distinct(self, make: Callable[[], T]) -> tuple[T, ...]:
        """One to three; where care is taken, none of them twice."""
        found = self.some(make, least=int(self.careful))
        if not self.careful:
            return found
        kept = {place(_location_of(one)): one for one in found}
        return tuple(kept.values())

    def some(self, make: Callable[[], T], *, least: int) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.one(*range(least, 4))))

    def policy(self) -> SoftDelete | None:
        kept = SoftDelete(enabled=True, retention_hours=2, grace_hours=1)
        return self.one(None, kept, kept, SoftDelete(enabled=True), SoftDelete(enabled=False))

    def features(self) -> tuple[Feature, ...]:
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
        return self.mostly(usual, self.one(*unusual))

    def mask(self, mutable: frozenset[str], immutable: frozenset[str]) -> tuple[str, ...] | None:
        paths = sorted(mutable)
        kind = self.one("none", "all", "one", "one", "some", "some")
        if not self.careful and self.chance(3):
            kind = "odd"
        if kind == "none":
            return None
        if kind == "all":
            return ("*",)
        if kind == "odd":
            return (self.one(*paths), self.one("no_such_field", *sorted(immutable)))
        chosen: Sequence[str] = self.draw(st.permutations(paths))
        return tuple(chosen[: 1 if kind == "one" else 2])
