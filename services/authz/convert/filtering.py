"""Which changes matter to a replica that serves some subscriptions only."""

from collections.abc import Iterable
from typing import Final

from stoa.authz.v1 import policy_change_pb2
from stoa.authz.v1 import policy_feed_service_pb2 as pb

from services.authz.domain.names import subscription_of
from services.kernel.names import key

_AT_SCOPES: Final = {
    "put_role_assignment": "roleassignments",
    "put_deny_assignment": "denyassignments",
    "put_eligible_assignment": "eligibleassignments",
}
_GONE_AT_SCOPES: Final = frozenset(
    {"delete_role_assignment", "delete_deny_assignment", "delete_eligible_assignment"}
)


class Matter:
    """Leaves out assignments at or below other subscriptions; with none given, nothing.

    What is not said to matter less is sent: a replica never decides by too little.
    """

    def __init__(self, subscriptions: Iterable[str]) -> None:
        self._subscriptions: Final = frozenset(map(key, subscriptions))

    def matters(self, change: policy_change_pb2.PolicyChange) -> bool:
        """Whether a change is sent."""
        if not self._subscriptions:
            return True
        kind = change.WhichOneof("change")
        if kind in _AT_SCOPES:
            name: str = getattr(change, kind).name
        elif kind in _GONE_AT_SCOPES:
            name = getattr(change, kind)
        else:
            return True
        subscription = subscription_of(name)
        return subscription is None or subscription in self._subscriptions

    def of_watch(self, message: bytes) -> bytes:
        """Answer a message of a watch without what does not matter."""
        if not self._subscriptions:
            return message
        response = pb.WatchResponse.FromString(message)
        if response.WhichOneof("event") != "transaction":
            return message
        kept = [one for one in response.transaction.changes if self.matters(one)]
        del response.transaction.changes[:]
        response.transaction.changes.extend(kept)
        return response.SerializeToString()
