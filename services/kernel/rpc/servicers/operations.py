"""google.longrunning.Operations over the operations of one service (AIP-151)."""

from collections.abc import Callable
from typing import Any, Final

from google.longrunning import operations_pb2 as pb
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.rpc import status_pb2

from services.kernel.db.engine import Database
from services.kernel.db.operations import MAX_WAIT_SECONDS, Operation, OperationStore
from services.kernel.db.tables import from_microseconds, to_microseconds
from services.kernel.errors import PermissionDenied
from services.kernel.filter import Kind as FieldKind
from services.kernel.filter import parse_filter
from services.kernel.names import Name, Pattern
from services.kernel.paging import PageBinding, PageTokens, page_size
from services.kernel.rpc.call import Call

SERVICE: Final = "google.longrunning.Operations"
NAMES: Final = Pattern("subscriptions/{subscription}/operations/{operation}")
PARENTS: Final = Pattern("subscriptions/{subscription}")

# Kept back from the caller's time, so that the unfinished operation still reaches them.
_MARGIN: Final = 0.25
_FILTER: Final = {
    "done": FieldKind.BOOLEAN,
    "metadata.verb": FieldKind.STRING,
    "metadata.target": FieldKind.STRING,
    "metadata.create_time": FieldKind.TIME,
    "metadata.end_time": FieldKind.TIME,
}


class OperationsServicer:
    """Answers operations to those who started them, and to those who may read all of them.

    `read_action` is demanded, at the subscription of the operation, of everybody else; it is no
    permission to cancel or forget what another one started, for which `change_action` is.
    `cancelled` is called in the transaction that records a cancellation.
    """

    def __init__(
        self,
        db: Database,
        store: OperationStore,
        page_tokens: PageTokens,
        *,
        read_action: str,
        change_action: str = "",
        cancelled: Callable[[Any, Operation], None] = lambda _tx, _operation: None,
    ) -> None:
        self._db: Final = db
        self._store: Final = store
        self._page_tokens: Final = page_tokens
        self._read_action: Final = read_action
        self._change_action: Final = change_action
        self._cancelled: Final = cancelled

    def GetOperation(self, request: pb.GetOperationRequest, call: Call) -> pb.Operation:
        """Answer an operation.

        Raises:
            NotFound: it does not exist, and the caller may read all of the subscription.
            PermissionDenied: otherwise.
        """
        return encoded(self._readable(_name(request.name), call))

    def WaitOperation(self, request: pb.WaitOperationRequest, call: Call) -> pb.Operation:
        """Answer an operation when it has ended, or unfinished after 30 s at most.

        Raises:
            NotFound, PermissionDenied: as `GetOperation`.
        """
        name = _name(request.name)
        operation = self._readable(name, call)
        if not operation.done:
            asked = MAX_WAIT_SECONDS
            if request.HasField("timeout"):
                asked = request.timeout.ToNanoseconds() / 1e9
            left = max(0.0, min(asked, call.time_remaining() - _MARGIN))
            operation = self._store.wait(
                name.text, left, alive=lambda: call.is_active() and not call.stopping.is_set()
            )
        return encoded(operation)

    def ListOperations(
        self, request: pb.ListOperationsRequest, call: Call
    ) -> pb.ListOperationsResponse:
        """List the operations of a subscription: all of them, or those the caller started.

        Raises:
            InvalidArgument: the parent, the filter or the page token.
        """
        parent = PARENTS.parse(request.name).text
        comparisons = parse_filter(request.filter, _FILTER)
        size = page_size(request.page_size)
        everyone = call.access.allowed(self._read_action, parent)
        owner = "" if everyone else call.caller.id
        binding = PageBinding(
            method="ListOperations",
            parent=parent,
            caller=call.caller.id,
            filter=request.filter,
            extra=owner,
        )
        last = self._page_tokens.decode(request.page_token, binding)
        after = None if last is None else (from_microseconds(int(last[0])), str(last[1]))
        found = self._db.read(
            lambda c: self._store.list(
                c, parent, limit=size + 1, after=after, owner=owner, comparisons=comparisons
            )
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            newest = page[-1]
            values = (to_microseconds(newest.create_time), newest.id)
            token = self._page_tokens.encode(values, binding)
        return pb.ListOperationsResponse(operations=map(encoded, page), next_page_token=token)

    def CancelOperation(self, request: pb.CancelOperationRequest, call: Call) -> Empty:
        """Ask for the end of an operation; one that has ended stays as it is.

        Raises:
            NotFound: as `GetOperation`.
            PermissionDenied: another one started it.
        """
        operation = self._changeable(_name(request.name), call)

        def cancel(tx: Any) -> None:
            if self._store.cancel(tx, operation.name):
                self._cancelled(tx, operation)

        self._db.transact(cancel)
        return Empty()

    def DeleteOperation(self, request: pb.DeleteOperationRequest, call: Call) -> Empty:
        """Forget an operation that has ended.

        Raises:
            NotFound: as `GetOperation`.
            PermissionDenied: another one started it.
            FailedPrecondition: it has not ended.
        """
        operation = self._changeable(_name(request.name), call)
        self._db.transact(lambda tx: self._store.delete(tx, operation.name))
        return Empty()

    def _readable(self, name: Name, call: Call) -> Operation:
        operation = self._db.read(lambda c: self._store.get(c, name.text))
        if operation is None or operation.owner != call.caller.id:
            call.access.require(self._read_action, name.parent().text)
        if operation is None:
            return self._db.read(lambda c: self._store.require(c, name.text))
        return operation

    def _changeable(self, name: Name, call: Call) -> Operation:
        operation = self._readable(name, call)
        if operation.owner != call.caller.id:
            if not self._change_action:
                raise PermissionDenied.of(f"{SERVICE}/cancel", name.text)
            call.access.require(self._change_action, name.parent().text)
        return operation


def encoded(operation: Operation) -> pb.Operation:
    """Answer an operation as it is sent; its stored parts are serialized messages."""
    message = pb.Operation(name=operation.name, done=operation.done)
    if operation.metadata:
        message.metadata.CopyFrom(AnyMessage.FromString(operation.metadata))
    if operation.error is not None:
        message.error.CopyFrom(status_pb2.Status.FromString(operation.error))
    elif operation.response is not None:
        message.response.CopyFrom(AnyMessage.FromString(operation.response))
    return message


def _name(text: str) -> Name:
    return NAMES.parse(text)
