"""Which decisions about views are guesses: the ids of views are all that keeps them apart."""

from typing import Final

from services.kernel.rpc.access import Caller
from services.kernel.rpc.guesses import GuessLimit
from services.policy.decision import Decision, Reason
from services.policy.scopes import Scope

#: Reasons that tell the caller, by one answer or another, whether a view is there.
_TELLING: Final = frozenset(
    {
        Reason.SHARED_SUBSCRIPTION,
        Reason.SHARED_TENANT,
        Reason.COMMUNITY,
        Reason.NOT_SHARED,
        Reason.TARGET_AND_SOURCE,
        Reason.LINKED_SOURCE_DENIED,
    }
)


class Guessing:
    """What one caller is told about views, within the limit of guesses."""

    __slots__ = ("_caller", "_limit")

    def __init__(self, limit: GuessLimit, caller: Caller) -> None:
        self._limit: Final = limit
        self._caller: Final = caller

    def tell(self, decision: Decision, *scopes: str) -> None:
        """Count a decision about `scopes` before it is told, if one of them is a view.

        Raises:
            ResourceExhausted: the caller tried too many views that are not theirs to see.
        """
        if decision.reason not in _TELLING:
            return
        if any(Scope.parse(scope).view is not None for scope in scopes):
            self.found(there=decision.allowed)

    def found(self, *, there: bool) -> None:
        """Count that a view was looked up.

        Raises:
            ResourceExhausted: the caller tried too many views that are not theirs to see.
        """
        if there:
            self._limit.check(self._caller.id)
        else:
            self._limit.missed(self._caller.id)
