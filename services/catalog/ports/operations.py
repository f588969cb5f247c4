"""Long-running operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.catalog.domain.plan import VersionPlan
from services.catalog.domain.region_status import RegionStatus
from services.catalog.domain.version import Version, WaitMode
from services.kernel.errors import StoaError


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
    """A change of a version and what its operation waits for.

    `regions` are the ids of those that it touches, in their order.
    """

    verb: str
    version_uid: str
    generation: int
    wait_for: WaitMode
    regions: tuple[str, ...]
    home: str

    @property
    def awaited(self) -> tuple[str, ...]:
        """The regions that have to be done for the operation to be."""
        if self.wait_for is WaitMode.HOME_REGION:
            return tuple(one for one in self.regions if one == self.home)
        return self.regions


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
        self,
        target: str,
        *,
        owner: str,
        resources: Sequence[str],
        regions: Sequence[RegionStatus] = (),
        soft: bool = False,
    ) -> StartedOperation:
        """Begin the operation that deletes `target`, the last of `resources`.

        `regions` are told to let go of the bytes. A `soft` one deletes a version that can be had
        back.
        """

    def preview_version(
        self, version: Version, regions: Sequence[RegionStatus]
    ) -> StartedOperation:
        """Answer a finished operation without a name, with the version as it would be."""

    def preview_delete(self, resources: Sequence[str]) -> StartedOperation:
        """Answer a finished operation without a name, with what would be deleted."""

    def start_plan(self, target: str, *, owner: str, total_bytes: int) -> StartedOperation:
        """Begin the operation that plans a change of `target`, whose sources have so many bytes."""

    def is_planning(self, name: str) -> bool:
        """Whether an operation that plans has not ended."""

    def finish_plan(self, name: str, plan: VersionPlan) -> None:
        """End an operation that plans, if it has not ended."""

    def fail_plan(self, name: str, error: StoaError) -> None:
        """End an operation that plans with an error, if it has not ended."""

    def unfinished_delete(self, target: str, *, soft: bool = False) -> StartedOperation | None:
        """Answer the operation that deletes `target` already, for good or softly."""

    def undeleting(self, target: str) -> str:
        """Answer the name of the operation that has `target` back, empty for none."""

    def blocking(self, target: str) -> str:
        """Answer the name of the oldest unfinished operation on `target`, empty for none."""

    def advance(self, version: Version, regions: Sequence[RegionStatus]) -> None:
        """Bring the operations on a version up to date, and end those that are done."""

    def cancel_changes(self, target: str, message: str) -> None:
        """End the unfinished changes of `target` as CANCELLED."""

    def cancelling(self, name: str) -> VersionChange | None:
        """Show that the cancellation of an operation was asked for.

        Answers the change of a version that it is; None for a deletion, which goes on, and for a
        plan, which ends here.
        """

    def awaited(self, target: str) -> frozenset[str]:
        """Answer the regions of the unfinished changes of `target` that nobody cancelled."""

    def count_deleted(self, target: str) -> None:
        """Count one more that is gone of what the deletion of `target` takes along, if any."""

    def finish_delete(self, target: str, *, soft: bool = False) -> None:
        """End the operation that deletes `target`, for good or softly, if there is one."""
