"""Entries of the log on their way out: to this process's index, and to the feed."""

from collections.abc import Callable, Sequence
from typing import Final

from stoa.authz.v1 import policy_feed_service_pb2 as pb

from services.kernel.feed.log import FeedEntry
from services.policy.convert import transaction_from_pb
from services.policy.model import Change

Token = Callable[[int], str]


def decode(payload: bytes) -> Sequence[Change]:
    """Answer what an entry says to a decision."""
    return transaction_from_pb(pb.Transaction.FromString(payload)).changes


class Watched:
    """Entries as messages of Watch; `token` answers the consistency token of a revision."""

    def __init__(self, token: Token) -> None:
        self._token: Final = token

    def response(self, entry: FeedEntry) -> bytes:
        """Answer the message of an entry."""
        transaction = pb.Transaction.FromString(entry.payload)
        transaction.revision = entry.position
        transaction.consistency_token = self._token(entry.position)
        return pb.WatchResponse(transaction=transaction).SerializeToString()
