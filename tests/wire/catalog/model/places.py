"""The regions of the installation that the model is about."""

from dataclasses import dataclass
from typing import Final

from tests.wire.catalog.model.words import Storage


@dataclass(frozen=True, slots=True)
class Place:
    """A region: what it is called, and the replicas of one version that it takes by storage."""

    display_name: str
    slots: dict[Storage, int]
    zones: tuple[str, ...] = ()


PLACES: Final = {
    "eastus": Place("East US", {Storage.STANDARD_LRS: 3}),
    "eastus2": Place(
        "East US 2",
        {Storage.STANDARD_LRS: 4, Storage.STANDARD_ZRS: 2, Storage.PREMIUM_LRS: 1},
        zones=("1", "2"),
    ),
    "westus": Place("West US", {Storage.STANDARD_LRS: 1}),
}


def place(text: str) -> str | None:
    """Answer the id of a region by its id or display name, without case and spaces."""
    plain = text.replace(" ", "").lower()
    return plain if plain in PLACES else None
