"""Long-running operations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version, WaitMode


@dataclass(frozen=True, slots=True)
class StartedOperation:
    """An operation as it is answered by the call that starts it.

    `name` is empty where nothing was started (`validate_only`). One that is `done` ended at once.
    `serialized` is the whole message.
    """

    name: str
    done: bool
    serialized: bytes


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What an operation on a version waits for; `regions` are ids, in their order."""

    verb: str
    version_uid: str
    generation: int
    wait_for: WaitMode
    regions: tuple[str, ...]
    home: str


class Operations(Protocol):
    """Long-running operations."""

    def start_version_change(
        self,
        change: VersionChange,
        version: Version,
        regions: Sequence[RegionStatus],
        *,
        owner: str,
        done: bool,
    ) -> StartedOperation:
        """Begin the operation of a change of a version; `done` ends it at once."""

    def start_delete(
        self, target: str, *, owner: str, resources: Sequence[str], detail: Mapping[str, Any]
    ) -> StartedOperation:
        """Begin the operation that deletes `target`, the last of `resources`."""

    def preview_version(
        self, version: Version, regions: Sequence[RegionStatus]
    ) -> StartedOperation:
        """Answer a finished operation without a name, with the version as it would be."""

    def preview_delete(self, resources: Sequence[str]) -> StartedOperation:
        """Answer a finished operation without a name, with what would be deleted."""

    def unfinished_delete(self, target: str) -> StartedOperation | None:
        """Answer the operation that deletes `target` already."""

    def blocking(self, target: str) -> str:
        """Answer the name of the oldest unfinished operation on `target`, empty for none."""

    def advance(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Bring the operations on a version up to date, and end those that are done."""

    def cancel_changes(self, target: str, message: str) -> None:
        """End the unfinished changes of `target` as CANCELLED."""

    def finish_delete(self, target: str) -> None:
        """End the operation that deletes `target`."""
