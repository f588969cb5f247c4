"""What a servicer knows of the call that it serves."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from services.kernel.errors import Cancelled, DeadlineExceeded, StoaError, Unauthenticated
from services.kernel.names import Name
from services.kernel.rpc.access import Access, AccessControl, Caller, Kind
from services.kernel.rpc.identity import CONSISTENCY_TOKEN
from services.kernel.rpc.method_policy import MethodPolicy
from services.kernel.stopping import Stop
from services.kernel.telemetry.trace import Trace
from services.kernel.violations import Violations

NOBODY: Final = Caller()


class Call:
    """One call, from its arrival to its answer.

    `caller` is verified and `scope` is the parsed name in the request's scope field, None where
    the method has none. The action of the method has been demanded at `scope`, unless that is
    a list's name with `-` in it: then the servicer answers only what the caller may see.
    `violations` holds what protovalidate found; the use case adds its own and raises once.
    `deadline` is in seconds of `time.monotonic`, infinite for streams. `stopping` ends waits
    early when the server goes down. `revision_checked` and `writing` belong to the server.
    """

    __slots__ = (
        "_access",
        "_control",
        "_ended",
        "_gone",
        "_is_active",
        "_trailing",
        "caller",
        "consistency_token",
        "deadline",
        "policy",
        "revision_checked",
        "scope",
        "started",
        "stopping",
        "trace",
        "violations",
        "writing",
    )

    def __init__(
        self,
        policy: MethodPolicy,
        control: AccessControl,
        stopping: Stop,
        trace: Trace,
        *,
        deadline: float = math.inf,
        consistency_token: str = "",
        is_active: Callable[[], bool] = lambda: True,
    ) -> None:
        self.policy: Final = policy
        self.caller = NOBODY
        self.scope: Name | None = None
        self.violations: Final = Violations()
        self.deadline: Final = deadline
        self.trace: Final = trace
        self.stopping: Final = stopping
        self.consistency_token: Final = consistency_token
        self.started: Final = time.perf_counter()
        self.revision_checked = -1
        self.writing = False
        self._control: Final = control
        self._is_active: Final = is_active
        self._access: Access | None = None
        self._ended: StoaError | None = None
        self._gone = False
        self._trailing: list[tuple[str, str]] = []

    @property
    def access(self) -> Access:
        """What the caller may do, pinned at one revision of the policy when first asked for.

        The first use may wait for a fresh policy: in a coroutine of a method whose rule is OWN
        or WORKLOAD, where nobody asked before, use it in a thread.

        Raises:
            Unavailable: no policy that is fresh enough can be had.
        """
        if self._access is None:
            begun = self._control.begin(
                self.caller, self.policy.kind, self.deadline, self.consistency_token
            )
            self._access = _Recording(begun) if self.policy.kind is Kind.STREAM else begun
        return self._access

    def grant(self) -> None:
        """Let a service do everything in this call: the contract lists it for the method."""
        self._access = _Granted(self._control.revision)

    def time_remaining(self) -> float:
        """Answer the seconds left, 0 when there are none."""
        return max(0.0, self.deadline - time.monotonic())

    def is_active(self) -> bool:
        """Whether anybody still waits for the answer."""
        return not self._gone and self._is_active() and time.monotonic() < self.deadline

    def abandon(self) -> None:
        """Record that nobody waits any more, where the transport cannot be asked."""
        self._gone = True

    def check(self) -> None:
        """Stop work that nobody waits for.

        Raises:
            DeadlineExceeded: the time is over.
            Cancelled: the caller went away.
            StoaError: the server ended the call.
        """
        if self._ended is not None:
            raise self._ended
        if time.monotonic() >= self.deadline:
            raise DeadlineExceeded("the deadline of the call passed")
        if self._gone or not self._is_active():
            raise Cancelled("the caller cancelled the call")

    def send_consistency_token(self, token: str) -> None:
        """Send the token that makes the caller's next calls see this write."""
        self._trailing.append((CONSISTENCY_TOKEN, token))

    def send_metadata(self, key: str, value: str) -> None:
        """Send something else beside the answer, as the contract of the method says."""
        self._trailing.append((key, value))

    @property
    def trailing_metadata(self) -> Sequence[tuple[str, str]]:
        """What is sent after a successful answer."""
        return self._trailing

    @property
    def ended(self) -> StoaError | None:
        """Why the server ended the call before its servicer did."""
        return self._ended

    def end(self, error: StoaError) -> None:
        """End the call with `error` at the next chance; the first reason counts."""
        self._ended = self._ended or error

    def authorize_again(self, now: float) -> None:
        """Demand of the newest policy all that was demanded so far; for streams.

        Args:
            now: seconds since 1970, against which the token's end is compared.

        Raises:
            PermissionDenied: access was lost since.
            Unauthenticated: the token's time is over.
            Unavailable: no policy that is fresh enough can be had.
        """
        if now >= self.caller.expires:
            raise Unauthenticated("the token is expired")
        before = self._access
        revision = self._control.revision
        if isinstance(before, _Recording):
            fresh = _Recording(
                self._control.begin(self.caller, self.policy.kind, self.deadline, "")
            )
            for demands in tuple(before.demands):
                fresh.demand(demands)
            self._access = fresh
        self.revision_checked = revision


class _Granted:
    """Access of a service to a method that the contract opens to it."""

    __slots__ = ("principals", "revision")

    def __init__(self, revision: int) -> None:
        self.revision: Final = revision
        self.principals: Final[tuple[str, ...]] = ()

    def require(self, action: str, scope: str) -> None:
        pass

    def allowed(self, action: str, scope: str) -> bool:
        return True

    def require_all(self, demands: Sequence[tuple[str, str, str]]) -> None:
        pass


class _Recording:
    """Access of a stream: remembers what was demanded, to demand it again."""

    __slots__ = ("_inner", "demands")

    def __init__(self, inner: Access) -> None:
        self._inner: Final = inner
        self.demands: Final[list[Sequence[tuple[str, str, str]]]] = []

    @property
    def revision(self) -> int:
        return self._inner.revision

    @property
    def principals(self) -> tuple[str, ...]:
        return self._inner.principals

    def require(self, action: str, scope: str) -> None:
        self._inner.require(action, scope)
        self.demands.append(((action, scope, ""),))

    def allowed(self, action: str, scope: str) -> bool:
        return self._inner.allowed(action, scope)

    def require_all(self, demands: Sequence[tuple[str, str, str]]) -> None:
        self._inner.require_all(demands)
        self.demands.append(demands)

    def demand(self, demands: Sequence[tuple[str, str, str]]) -> None:
        if len(demands) == 1:
            self.require(*demands[0][:2])
        else:
            self.require_all(demands)
