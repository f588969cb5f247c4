"""What the authz service does for the catalog."""

from dataclasses import dataclass
from typing import Protocol

from services.catalog.domain.gallery import Consumers, Gallery, PendingShare


class Scopes(Protocol):
    """The scopes of the policy."""

    def tombstone(self, name: str, uid: str) -> None:
        """Remove everything granted at or below a resource that is going; again: nothing.

        Raises:
            Unavailable: the authz service does not answer.
        """


@dataclass(frozen=True, slots=True)
class ShareAnswer:
    """What the policy says of a gallery after a step in its sharing.

    `lagging` are the ids of the replicas of the policy that had not applied it in time.
    """

    groups: Consumers
    blocked: Consumers
    community_enabled: bool
    revision: int
    consistency_token: str = ""
    simulation_digest: str = ""
    lagging: tuple[str, ...] = ()


class SharingAuthority(Protocol):
    """What galleries are shared with, as the policy has it."""

    def apply(
        self, gallery: Gallery, share: PendingShare, *, wait: bool = False, dry: bool = False
    ) -> ShareAnswer:
        """Take a step for a gallery; again: the same answer.

        `wait` waits until every live replica of the policy has it, 5 seconds at most; `dry`
        checks everything and changes nothing.

        Raises:
            InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted, Aborted: refused,
                for good.
            Unavailable, DeadlineExceeded: the authz service does not answer.
        """
