"""Finds a policy that is fresh enough for a call (authorization.md section 3, DESIGN 4).

A read is decided by the replica while its lease runs; a mutation once the replica has
reached a head that was asked for after the call arrived. Where the replica is not there,
authz decides; where authz does not answer either, the call fails. Nothing fails open.
"""

from typing import Final

from services.kernel.clock import Clock, SystemClock
from services.kernel.errors import Unavailable
from services.kernel.rpc.access import Caller, Kind
from services.kernel.rpc.guesses import GuessLimit
from services.policy.access import LocalAccess, Observer, RemoteAccess, unobserved
from services.policy.authority import Head, PolicyAuthority
from services.policy.callers import Callers
from services.policy.consistency import ConsistencyToken, LogPosition, invalid_token
from services.policy.fresh_head import FreshHead, no_answer
from services.policy.guessing import Guessing
from services.policy.index import PolicyIndex
from services.policy.replica import PolicyReplica

#: Up to this age, in seconds, the replica is taken for the newest policy in reads.
FRESH: Final = 2.0
#: From this age on it decides nothing by itself.
LEASE: Final = 5.0
#: How long a replica that is behind is waited for before authz is asked, by default.
PATIENCE: Final = 0.05
#: What a question to authz may take, in seconds, and less where the call has less left.
REMOTE_TIMEOUT: Final = 2.0

PolicyAccess = LocalAccess | RemoteAccess


class PolicyAccessControl:
    """Fulfils the kernel's `AccessControl` with a replica and the authority behind it."""

    def __init__(
        self,
        replica: PolicyReplica,
        authority: PolicyAuthority,
        *,
        callers: Callers | None = None,
        clock: Clock | None = None,
        observe: Observer = unobserved,
        patience: float = PATIENCE,
        guesses: GuessLimit | None = None,
    ) -> None:
        """Put together.

        Args:
            replica: what decides while it is fresh.
            authority: what decides otherwise.
            callers: reads who a caller is.
            clock: the time.
            observe: is told every decision.
            patience: how long, in seconds, a replica that is behind is waited for.
            guesses: how many views each caller may name that are not theirs to see.
        """
        self._replica: Final = replica
        self._authority: Final = authority
        self._callers: Final = callers or Callers()
        self._clock: Final = clock or SystemClock()
        self._observe: Final = observe
        self._patience: Final = patience
        self._guesses: Final = guesses or GuessLimit(clock=clock)
        self._head: Final = FreshHead(authority.head)

    @property
    def revision(self) -> int:
        """The newest revision that this process holds, 0 before the first snapshot."""
        index = self._replica.index
        return 0 if index is None else index.revision

    @property
    def index(self) -> PolicyIndex:
        """The policy that this process holds, for looking up views, grants and subscriptions.

        It decides nothing: what is found here still has to be demanded of an `Access`.

        Raises:
            Unavailable: there is no snapshot yet.
        """
        index = self._replica.index
        if index is None:
            raise no_answer()
        return index

    def begin(self, caller: Caller, kind: Kind, deadline: float, floor_token: str) -> PolicyAccess:
        """Pin a policy that is fresh enough for one call; see the kernel's `AccessControl`.

        Raises:
            Unavailable: no policy that is fresh enough can be had.
            InvalidArgument: the token is damaged, of another epoch or of no revision.
        """
        floor = self._floor(floor_token)
        if kind is Kind.MUTATION:
            head = self._head.get(self._time_left(deadline))
            _refuse_beyond(floor, head)
            return self._at_head(caller, head, deadline)
        return self._for_reading(caller, deadline, floor, floor_token)

    def at_least(
        self, access: PolicyAccess, caller: Caller, revision: int, deadline: float
    ) -> PolicyAccess:
        """Answer an access at or after a row's `policy_revision` (authorization.md 3, rule 1).

        A row that was written under a newer policy than `access` has must be judged by that
        policy; nothing that `access` decided before is decided again.

        Raises:
            Unavailable: no policy that is new enough can be had.
        """
        if access.revision >= revision:
            return access
        index = self.index
        position = LogPosition(index.epoch, revision)
        newer = self._replica.wait_until(position, min(self._patience, self._time_left(deadline)))
        if newer is not None:
            return self._local(caller, newer)
        head = self._head.get(self._time_left(deadline))
        return self._remote(caller, head.position, head.token, deadline)

    def guessing(self, caller: Caller) -> Guessing:
        """Answer what counts the views that a caller names, for views that nothing decides."""
        return Guessing(self._guesses, caller)

    def close(self) -> None:
        """Stop asking for heads."""
        self._head.close()

    def _floor(self, token: str) -> LogPosition | None:
        if not token:
            return None
        read = ConsistencyToken.decode(token)
        if read.installation != (self._replica.installation or read.installation):
            raise invalid_token("it is of another installation")
        return read.position

    def _for_reading(
        self, caller: Caller, deadline: float, floor: LogPosition | None, floor_token: str
    ) -> PolicyAccess:
        # The age first: what is read after it can only be newer.
        age = self._replica.age()
        index = self.index
        if floor is not None and floor.epoch < index.epoch:
            raise invalid_token("the log was restored from a backup since")
        if age >= LEASE:
            position = floor or LogPosition(index.epoch, index.revision)
            return self._remote(caller, position, floor_token, deadline)
        if age >= FRESH:
            try:
                head = self._head.get(self._time_left(deadline))
            except Unavailable:
                # The lease still runs: reads outlive a short silence of authz.
                if self._replica.age() >= LEASE:
                    raise
            else:
                _refuse_beyond(floor, head)
                return self._at_head(caller, head, deadline)
        if floor is None:
            return self._local(caller, index)
        reached = self._replica.wait_until(floor, min(self._patience, self._time_left(deadline)))
        if reached is not None:
            return self._local(caller, reached)
        return self._remote(caller, floor, floor_token, deadline)

    def _at_head(self, caller: Caller, head: Head, deadline: float) -> PolicyAccess:
        patience = min(self._patience, self._time_left(deadline))
        reached = self._replica.wait_until(head.position, patience)
        if reached is not None:
            return self._local(caller, reached)
        return self._remote(caller, head.position, head.token, deadline)

    def _local(self, caller: Caller, index: PolicyIndex) -> LocalAccess:
        identities = self._callers.identities(caller, index.directory)
        return LocalAccess(
            index,
            identities,
            now=self._clock.now(),
            observe=self._observe,
            guessing=self.guessing(caller),
        )

    def _remote(
        self, caller: Caller, position: LogPosition, token: str, deadline: float
    ) -> RemoteAccess:
        directory = self.index.directory
        return RemoteAccess(
            self._authority,
            directory,
            self._callers.identities(caller, directory),
            position,
            token,
            timeout=lambda: self._time_left(deadline),
            observe=self._observe,
            guessing=self.guessing(caller),
        )

    def _time_left(self, deadline: float) -> float:
        return max(0.0, min(REMOTE_TIMEOUT, deadline - self._clock.monotonic()))


def _refuse_beyond(floor: LogPosition | None, head: Head) -> None:
    if floor is None:
        return
    if floor.epoch != head.position.epoch:
        raise invalid_token("it is of another epoch of the log")
    if floor.revision > head.position.revision:
        raise invalid_token("it is of a revision that does not exist")
