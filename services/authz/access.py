"""Decides the calls of authz itself: always by the policy as of the call."""

from typing import Final, Protocol

from services.kernel.clock import Clock
from services.kernel.names import fold
from services.kernel.rpc.access import Caller, Kind
from services.policy.access import LocalAccess
from services.policy.callers import Callers, asker
from services.policy.conditions import DELEGABLE, PRESUMED, Attributes
from services.policy.consistency import ConsistencyToken, LogPosition, invalid_token
from services.policy.decision import Decision
from services.policy.index import PolicyIndex


class Policy(Protocol):
    """The compiled policy of this process."""

    @property
    def held(self) -> PolicyIndex:
        """The policy as it was last asked for."""

    def current(self) -> PolicyIndex:
        """Answer the policy as of the newest commit."""


class FirstLook(LocalAccess):
    """Lets in who may make some assignments: of which ones the request is about, it knows nothing.

    A delegate whose right carries a condition could never come in otherwise; nor does anybody
    who has no right at all.
    """

    def decide(self, action: str, scope: str, attributes: Attributes | None = None) -> Decision:
        """Decide as ever, but take for true what a condition says of the assignment."""
        if attributes is None and fold(action) in DELEGABLE:
            attributes = PRESUMED
        return super().decide(action, scope, attributes)


class HeadAccessControl:
    """Fulfils the kernel's `AccessControl`: no lease and no waiting, for this is the source."""

    def __init__(
        self, policy: Policy, callers: Callers, installation: str, *, clock: Clock
    ) -> None:
        self._policy: Final = policy
        self._callers: Final = callers
        self._installation: Final = installation
        self._clock: Final = clock

    @property
    def revision(self) -> int:
        """The newest revision that this process has looked at."""
        return self._policy.held.revision

    def begin(self, caller: Caller, kind: Kind, deadline: float, floor_token: str) -> LocalAccess:
        """Pin the policy as of now; see the kernel's `AccessControl`.

        What it presumes in a mutation is judged by the write itself (`Context.write`).

        Raises:
            InvalidArgument: CONSISTENCY_TOKEN_INVALID.
        """
        index = self._policy.current()
        if floor_token:
            self.position_of(floor_token, index)
        if kind is not Kind.MUTATION:
            return self.at(caller, index)
        identities = self._callers.identities(caller, index.directory)
        return FirstLook(index, identities, now=self._clock.now())

    def at(self, caller: Caller, index: PolicyIndex) -> LocalAccess:
        """Answer what a caller may do by one root of the index."""
        identities = self._callers.identities(caller, index.directory)
        return LocalAccess(index, identities, now=self._clock.now())

    def principal_of(self, caller: Caller, index: PolicyIndex) -> str:
        """Answer the key of the principal that a caller is, empty for an unknown one."""
        return self._callers.identities(caller, index.directory)[0].key

    def principals_of(self, caller: Caller, index: PolicyIndex) -> frozenset[str]:
        """Answer the keys of all principals that a caller proved to be."""
        return frozenset(one.key for one in self._callers.identities(caller, index.directory))

    def askers_of(self, caller: Caller, scope: str, index: PolicyIndex) -> tuple[str, ...]:
        """Answer the keys of the principals that a caller is, who asks about a scope first."""
        identities = self._callers.identities(caller, index.directory)
        first = asker(identities, scope, index.directory)
        return (first.key, *(one.key for one in identities if one != first))

    def position_of(self, token: str, index: PolicyIndex) -> LogPosition:
        """Read a consistency token of this installation.

        Raises:
            InvalidArgument: CONSISTENCY_TOKEN_INVALID.
        """
        read = ConsistencyToken.decode(token)
        if read.installation != self._installation:
            raise invalid_token("it is of another installation")
        if read.position.epoch != index.epoch:
            raise invalid_token("it is of another epoch of the log")
        if read.position.revision > index.revision:
            raise invalid_token("it is of a revision that does not exist")
        return read.position

    def pinned(self, index: PolicyIndex) -> "HeadAccessControl":
        """Answer a control that decides by one root, whatever root it is asked about."""
        pinned = _Pinned(self._policy, self._callers, self._installation, clock=self._clock)
        pinned.index = index
        return pinned


class _Pinned(HeadAccessControl):
    """For writes that are only proposed: nobody gains a right by what they propose."""

    index: PolicyIndex

    def at(self, caller: Caller, index: PolicyIndex) -> LocalAccess:
        """Answer what a caller may do by the pinned root."""
        return super().at(caller, self.index)
