"""Room in a region, promised before it is written to."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is promised room: a version, with its disk, or a blob, in a slot."""

    location: str
    slot: str
    owner: str
    disk: str = ""


class RoomRows(Protocol):
    """What is promised to copies and uploads that are under way, by all processes."""

    def promised(self, holder: Holder) -> int:
        """Answer the bytes that a holder is promised."""

    def occupied(self, location: str) -> int:
        """Answer the bytes that are stored in a region or promised."""

    def promise(self, holder: Holder, length: int) -> None:
        """Promise so many bytes instead of what was promised before."""

    def release(self, holder: Holder) -> None:
        """Forget all promises to an owner in a slot, whatever the disk."""
