"""All that the model knows, and how names lead into it.

Names are compared by their key: ASCII letters without case, numbers of versions as numbers
(section 2 of the design); what is answered is the spelling of the creation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from services.kernel.clock import Clock, SystemClock
from tests.wire.catalog.model.records import Definition, Gallery, Number, Operation, Version

_NUMBER = re.compile(r"[0-9]+[.][0-9]+[.][0-9]+")
_LARGEST = 2**31 - 1


def number(text: str) -> Number | None:
    """Three integers from 0 to 2147483647 with dots between, leading zeros not counted."""
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    first, second, third = (int(part) for part in text.split("."))
    return (first, second, third) if max(first, second, third) <= _LARGEST else None


def parent(name: str) -> str:
    return name.rsplit("/", 2)[0]


def last(name: str) -> str:
    return name.rsplit("/", 1)[1]


@dataclass(slots=True)
class State:
    """One subscription."""

    subscription: str
    clock: Clock = field(default_factory=SystemClock)
    groups: dict[str, str] = field(default_factory=dict)
    galleries: dict[str, Gallery] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    # The versions that were deleted for good, by the key of their definition's name.
    gone: set[tuple[str, Number]] = field(default_factory=set)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def gallery(self, name: str) -> Gallery | None:
        return self.galleries.get(name.lower())

    def definition(self, name: str) -> Definition | None:
        gallery = self.gallery(parent(name))
        return gallery.definitions.get(last(name).lower()) if gallery else None

    def version(self, name: str) -> Version | None:
        definition = self.definition(parent(name))
        key = number(last(name))
        return definition.versions.get(key) if definition and key else None

    def definitions(self) -> Iterator[Definition]:
        for gallery in self.galleries.values():
            yield from gallery.definitions.values()

    def versions(self) -> Iterator[Version]:
        for definition in self.definitions():
            yield from definition.versions.values()

    def by_uid(self, uid: str) -> Version | None:
        return next((one for one in self.versions() if one.uid == uid), None)

    def gallery_of(self, name: str) -> Gallery:
        """The gallery that a definition or version lies in."""
        return self.galleries["/".join(name.lower().split("/")[:6])]

    def definition_of(self, version: Version) -> Definition:
        found = self.definition(parent(version.name))
        assert found is not None
        return found

    def unfinished(self) -> Iterator[Operation]:
        """The operations that somebody may cancel."""
        for one in self.operations:
            if one.outcome is None and one.name and not one.cancelling:
                yield one

    def pending(self, version: Version) -> list[Operation]:
        return [
            one for one in self.operations if one.version == version.uid and one.outcome is None
        ]
