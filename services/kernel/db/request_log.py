"""Replies kept by request id, so that a repeated request is not done twice (AIP-155)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, Table, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from services.kernel.clock import Clock
from services.kernel.errors import InvalidArgument

REQUEST_ID_REUSED: Final = "REQUEST_ID_REUSED"
KEPT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes a request id unique: who sent it, and to which method."""

    caller: str
    method: str
    request_id: str


class RequestLog:
    """The table of replies, read and written in the transaction of the request itself."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table: Final = table
        self._clock: Final = clock
        t = table.c
        self._lookup: Final = select(t.digest, t.reply).where(
            t.caller == bindparam("caller"),
            t.method == bindparam("method"),
            t.request_id == bindparam("request_id"),
            t.expire_time > bindparam("now"),
        )

    def once(
        self, tx: Connection, request: RequestKey, digest: bytes, work: Callable[[], bytes]
    ) -> bytes:
        """Answer the recorded reply, or do the work and record what it answers.

        Without a request id the work is simply done.

        Raises:
            InvalidArgument: as `lookup`.
        """
        if not request.request_id:
            return work()
        recorded = self.lookup(tx, request, digest)
        if recorded is not None:
            return recorded
        reply = work()
        self.record(tx, request, digest, reply)
        return reply

    def lookup(self, tx: Connection, request: RequestKey, digest: bytes) -> bytes | None:
        """Answer the reply that was recorded, or None for a request id that is new.

        A second transaction with the same request id waits here for the first.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED, the id belongs to another request.
        """
        if tx.dialect.name == "postgresql":
            text = f"{request.caller}\n{request.method}\n{request.request_id.lower()}"
            tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(text, 1))))
        parameters = _values(request) | {"now": self._clock.now()}
        found = tx.execute(self._lookup, parameters).first()
        if found is None:
            return None
        if found.digest != digest:
            raise InvalidArgument.of(
                "request_id",
                "the request id was used before with another request",
                reason=REQUEST_ID_REUSED,
            )
        reply: bytes = found.reply
        return reply

    def record(self, tx: Connection, request: RequestKey, digest: bytes, reply: bytes) -> None:
        """Keep the reply for 24 h, in the transaction whose effect it describes.

        The same transaction has called `lookup` before.
        """
        values = {"digest": digest, "reply": reply, "expire_time": self._clock.now() + KEPT}
        insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
        statement = insert(self._table).values(_values(request) | values)
        # What is there already has expired and was not purged yet: `lookup` saw to that.
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["caller", "method", "request_id"], set_=values
            )
        )

    def purge(self, tx: Connection, *, limit: int = 1000) -> int:
        """Delete at most `limit` replies that have expired; answer how many."""
        t = self._table.c
        identity = (t.caller, t.method, t.request_id)
        old = select(*identity).where(t.expire_time <= self._clock.now()).limit(limit)
        return tx.execute(delete(self._table).where(tuple_(*identity).in_(old))).rowcount


def _values(request: RequestKey) -> dict[str, str]:
    return {
        "caller": request.caller,
        "method": request.method,
        "request_id": request.request_id.lower(),
    }
