"""Long-running operations as rows (style.md, section 2.4; AIP-151).

The row is written in the transaction that starts the work, so an operation that a caller
was told of exists whatever happens next. What it carries (metadata, response, error) is
bytes to this module; the service that owns the operation gives them a meaning.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from services.kernel.clock import Clock
from services.kernel.db.engine import Database, after_commit
from services.kernel.db.listing import compare, conditions
from services.kernel.errors import FailedPrecondition, NotFound, PreconditionViolation
from services.kernel.filter import Comparison, Op
from services.kernel.ids import new_uid
from services.kernel.names import Name, Pattern, key

OPERATION_NAMES: Final = Pattern("subscriptions/{subscription}/operations/{operation}")
OPERATION_TYPE: Final = "google.longrunning.Operation"
MAX_WAIT_SECONDS: Final = 30.0
KEPT_AFTER_END: Final = timedelta(days=30)

_POLL_SECONDS = 0.05
_COLUMNS = (
    "id",
    "subscription",
    "owner",
    "verb",
    "target",
    "create_time",
    "update_time",
    "end_time",
    "cancel_requested",
    "metadata",
    "detail",
    "response",
    "error",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. Exactly one of `response` and `error` is set once it has ended.

    `owner` is the subject that started it, `verb` and `target` say what is done to what.
    `detail` is a JSON value for the worker and is never answered to a caller.
    """

    id: str
    subscription: str
    owner: str
    verb: str
    target: str
    create_time: datetime
    update_time: datetime
    end_time: datetime | None
    cancel_requested: bool
    metadata: bytes
    detail: Any
    response: bytes | None
    error: bytes | None

    @property
    def name(self) -> str:
        """The name that callers know it by."""
        return f"{self.subscription}/operations/{self.id}"

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.end_time is not None


class OperationStore:
    """Creates, ends, finds and waits for operations."""

    def __init__(self, db: Database, table: Table, clock: Clock) -> None:
        self._db: Final = db
        self._table: Final = table
        self._clock: Final = clock
        self._ended: Final = threading.Condition()
        self._end_count = 0
        columns = [table.c[name] for name in _COLUMNS]
        self._select: Final = select(*columns)
        self._fields: Final = {
            f"metadata.{name}": table.c[name] for name in ("verb", "create_time", "end_time")
        }
        self._special: Final = {"done": self._is_done, "metadata.target": self._is_of}
        self._by_name: Final = self._select.where(
            table.c.id == bindparam("id"), table.c.subscription_key == bindparam("subscription")
        )
        self._unfinished: Final = self._select.where(
            table.c.target_key == bindparam("target"), table.c.end_time.is_(None)
        ).order_by(table.c.create_time, table.c.id)

    def create(
        self,
        tx: Connection,
        *,
        subscription: str,
        owner: str,
        verb: str,
        target: str,
        metadata: bytes = b"",
        detail: Any = None,
        operation_id: str = "",
    ) -> Operation:
        """Add an operation of `subscriptions/{s}` in the transaction that starts its work.

        Without `detail` its worker finds an empty object.
        """
        now = self._clock.now()
        operation = Operation(
            id=operation_id or new_uid(),
            subscription=subscription,
            owner=owner,
            verb=verb,
            target=target,
            create_time=now,
            update_time=now,
            end_time=None,
            cancel_requested=False,
            metadata=metadata,
            detail={} if detail is None else detail,
            response=None,
            error=None,
        )
        values = {name: getattr(operation, name) for name in _COLUMNS}
        values |= {"subscription_key": key(subscription), "target_key": key(target)}
        tx.execute(insert(self._table), values)
        return operation

    def succeed(
        self, tx: Connection, name: str, response: bytes, *, metadata: bytes | None = None
    ) -> bool:
        """End the operation with a serialised `Any`; False when it has ended or is gone."""
        return self._end(tx, name, {"response": response}, metadata)

    def fail(
        self, tx: Connection, name: str, status: bytes, *, metadata: bytes | None = None
    ) -> bool:
        """End the operation with a serialised `google.rpc.Status`; False as `succeed`."""
        return self._end(tx, name, {"error": status}, metadata)

    def progress(self, tx: Connection, name: str, metadata: bytes, *, detail: Any = None) -> bool:
        """Replace the metadata, and `detail` unless it is None; False as `succeed`."""
        values: dict[str, Any] = {"metadata": metadata}
        if detail is not None:
            values["detail"] = detail
        return self._change(tx, name, values)

    def cancel(self, tx: Connection, name: str) -> bool:
        """Record that somebody wants it cancelled; False when it has ended.

        Raises:
            NotFound: there is no such operation.
        """
        if self._change(tx, name, {"cancel_requested": True}):
            return True
        self.require(tx, name)
        return False

    def delete(self, tx: Connection, name: str) -> None:
        """Forget an operation that has ended.

        Raises:
            NotFound: there is no such operation.
            FailedPrecondition: it has not ended, and its worker needs the row.
        """
        operation = self.require(tx, name)
        if not operation.done:
            problem = "the operation has not ended; cancel it first"
            raise FailedPrecondition(
                problem,
                metadata={"operation": operation.name},
                precondition=(
                    PreconditionViolation("OPERATION_UNFINISHED", operation.name, problem),
                ),
            )
        tx.execute(delete(self._table).where(self._table.c.id == operation.id))

    def get(self, connection: Connection, name: str) -> Operation | None:
        """Answer the operation of that name, or None."""
        parsed = OPERATION_NAMES.parse(name)
        row = connection.execute(self._by_name, _identity(parsed)).first()
        return None if row is None else Operation(*row)

    def require(self, connection: Connection, name: str) -> Operation:
        """Answer the operation of that name.

        Raises:
            NotFound: there is none.
            InvalidName: the name is not that of an operation.
        """
        operation = self.get(connection, name)
        if operation is None:
            raise NotFound.of(OPERATION_TYPE, name)
        return operation

    def list(
        self,
        connection: Connection,
        subscription: str,
        *,
        limit: int,
        after: tuple[datetime, str] | None = None,
        owner: str = "",
        comparisons: Sequence[Comparison] = (),
    ) -> Sequence[Operation]:
        """Answer at most `limit` operations of a subscription by (create time, id).

        `after` holds those two of the last row of the page before. `owner` and `comparisons`,
        of `done` and of what the metadata of all kinds have, narrow the list.
        """
        t = self._table.c
        statement = self._select.where(t.subscription_key == key(subscription))
        if after is not None:
            position = tuple_(literal(after[0], t.create_time.type), literal(after[1]))
            statement = statement.where(tuple_(t.create_time, t.id) > position)
        if owner:
            statement = statement.where(t.owner == owner)
        statement = statement.where(*conditions(comparisons, self._fields, self._special))
        statement = statement.order_by(t.create_time, t.id).limit(limit)
        return [Operation(*row) for row in connection.execute(statement)]

    def unfinished(self, connection: Connection, target: str) -> Sequence[Operation]:
        """Answer the operations of a target that have not ended, the oldest first."""
        rows = connection.execute(self._unfinished, {"target": key(target)})
        return [Operation(*row) for row in rows]

    def wait(
        self,
        name: str,
        timeout: float,
        *,
        alive: Callable[[], bool] = lambda: True,
    ) -> Operation:
        """Answer the operation once it has ended, or as it is after `timeout` seconds.

        Waits 30 s at most, and only while the caller is `alive`. An end in this process
        is noticed at once, one in another within 50 ms.

        Raises:
            NotFound: there is no such operation, or it was deleted meanwhile.
        """
        deadline = self._clock.monotonic() + min(timeout, MAX_WAIT_SECONDS)
        while True:
            # An end after this moment changes the count, and so is not slept through.
            count = self._end_count
            operation = self._db.read(lambda c: self.require(c, name))
            left = deadline - self._clock.monotonic()
            if operation.done or left <= 0 or not alive():
                return operation
            with self._ended:
                if self._end_count == count:
                    self._ended.wait(min(left, _POLL_SECONDS))

    def purge(self, tx: Connection, *, limit: int = 1000) -> int:
        """Delete at most `limit` operations that ended 30 days ago; answer how many."""
        t = self._table.c
        old = select(t.id).where(t.expire_time < self._clock.now()).limit(limit)
        return tx.execute(delete(self._table).where(t.id.in_(old))).rowcount

    def _end(
        self, tx: Connection, name: str, result: dict[str, bytes], metadata: bytes | None
    ) -> bool:
        now = self._clock.now()
        values: dict[str, Any] = {
            **result,
            "end_time": now,
            "expire_time": now + KEPT_AFTER_END,
        }
        if metadata is not None:
            values["metadata"] = metadata
        ended = self._change(tx, name, values)
        if ended:
            after_commit(tx, self._notify)
        return ended

    def _change(self, tx: Connection, name: str, values: dict[str, Any]) -> bool:
        """Change an operation that has not ended: what has ended never changes again."""
        t = self._table.c
        identity = _identity(OPERATION_NAMES.parse(name))
        statement = update(self._table).where(
            t.id == identity["id"],
            t.subscription_key == identity["subscription"],
            t.end_time.is_(None),
        )
        values = values | {"update_time": self._clock.now()}
        return tx.execute(statement.values(values)).rowcount == 1

    def _is_done(self, one: Comparison) -> ColumnElement[bool]:
        ended = self._table.c.end_time
        return ended.is_not(None) if (one.op is Op.EQ) == one.value else ended.is_(None)

    def _is_of(self, one: Comparison) -> ColumnElement[bool]:
        if one.op is Op.HAS:
            return compare(self._table.c.target, one)
        return compare(self._table.c.target_key, Comparison(one.field, one.op, key(str(one.value))))

    def _notify(self) -> None:
        with self._ended:
            self._end_count += 1
            self._ended.notify_all()


def _identity(name: Name) -> dict[str, str]:
    return {"id": key(name.id), "subscription": name.parent().key}
