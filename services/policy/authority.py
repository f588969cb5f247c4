"""What a replica needs of authz, as ports; authz itself fulfils them without a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.policy.consistency import LogPosition
from services.policy.decision import Question, Reason


@dataclass(frozen=True, slots=True)
class Head:
    """The newest position of the log, and the token that stands for it."""

    position: LogPosition
    token: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a remote question is about: an id in a tenant, `tenants/{tenant}`."""

    tenant: str
    id: str


@dataclass(frozen=True, slots=True)
class RemoteDecision:
    """What authz answered to a conjunction; `item` is the position of the first that failed."""

    allowed: bool
    reason: Reason
    position: LogPosition
    item: int = 0


class PolicyAuthority(Protocol):
    """The service that owns the log. `timeout` is in seconds.

    Every method raises `Unavailable` where there is no answer in time: no answer is never
    taken for a permission.
    """

    def head(self, timeout: float) -> Head:
        """Answer the newest position, read after this call began."""

    def check_all(
        self, questions: Sequence[tuple[Subject, Question]], at_least: str, timeout: float
    ) -> RemoteDecision:
        """Decide a conjunction at one revision, not before that of the token `at_least`.

        Raises:
            InvalidArgument: the token is of a revision that does not exist.
        """

    def report(self, position: LogPosition | None, *, leaving: bool, timeout: float) -> None:
        """Tell how far this process's replica is; None before its first snapshot."""
