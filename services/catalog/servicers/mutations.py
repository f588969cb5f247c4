"""The one transaction of a call that changes something: request id, dry run, reply."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import Message

from services.catalog.ports.calls import Context
from services.catalog.ports.operations import StartedOperation
from services.catalog.ports.transaction import Tx
from services.catalog.servicers.dependencies import Dependencies
from services.kernel.db.request_log import RequestKey
from services.kernel.names import Name
from services.kernel.request_digest import request_digest
from services.kernel.rpc.call import Call

T = TypeVar("T")

REQUEST_ID: Final = "request_id"
VALIDATE_ONLY: Final = "validate_only"


class CallMutation(Generic[T]):
    """Fulfils the port `Mutation` for one call.

    A reply is stored with the request id in the transaction whose effect it describes, so a
    repeated call is answered as the first time, whatever has happened since.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        call: Call,
        request: Any,
        encode: Callable[[T], bytes],
        *,
        names: Mapping[str, str],
    ) -> None:
        """`encode` serializes a reply; `names` are the fields of the request that hold names."""
        self._dependencies: Final = dependencies
        self._encode: Final = encode
        self._dry: Final = bool(getattr(request, VALIDATE_ONLY, False))
        self._traceparent: Final = call.trace.context.header()
        request_id = "" if self._dry else request.request_id
        self._key: Final = RequestKey(call.caller.id, call.policy.path, request_id)
        self._digest: Final = _digest(call, request, names) if request_id else b""

    def replayed(self) -> bytes | None:
        """Answer the reply of the first call with this request id, if there was one.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED.
        """
        if not self._key.request_id:
            return None
        log = self._dependencies.request_log
        return self._dependencies.db.read(lambda c: log.lookup(c, self._key, self._digest))

    def commit(self, work: Callable[[Tx], T]) -> bytes:
        """Run `work` in a transaction and answer the serialized reply made from its result."""

        def run(connection: Any) -> bytes:
            def reply() -> bytes:
                answer = self._dependencies.run(connection, work, self._traceparent)
                return self._encode(answer)

            if self._dry:
                raise _RolledBackError(reply())
            log = self._dependencies.request_log
            return log.once(connection, self._key, self._digest, reply)

        try:
            return self._dependencies.db.transact(run)
        except _RolledBackError as dry:
            return dry.reply


class _RolledBackError(Exception):
    """Carries the reply of a call with `validate_only` out of the transaction that it undoes."""

    def __init__(self, reply: bytes) -> None:
        super().__init__("validated only")
        self.reply: Final = reply


def mutate(
    dependencies: Dependencies,
    call: Call,
    request: Message,
    *,
    encode: Callable[[T], bytes],
    names: tuple[str, ...],
    use: Callable[[Context, CallMutation[T]], bytes],
) -> bytes:
    """Answer a call that changes something: as the first time, or by the use case `use`.

    `names` are the paths of the request's fields that hold resource names.
    """
    mutation = CallMutation(
        dependencies, call, request, encode, names={path: _at(request, path) for path in names}
    )
    replayed = mutation.replayed()
    return use(context_of(dependencies, call), mutation) if replayed is None else replayed


def context_of(dependencies: Dependencies, call: Call) -> Context:
    """Answer a call as use cases see it."""
    return Context(call.caller, call.access, call.violations, dependencies.clock)


def scope_of(call: Call) -> Name:
    """Answer the name in the scope field, which the kernel has parsed."""
    if call.scope is None:
        raise AssertionError(f"{call.policy.path} has a scope field")
    return call.scope


def serialized(encode: Callable[[T], Message]) -> Callable[[T], bytes]:
    """Make a function that answers bytes from one that answers a message."""
    return lambda value: encode(value).SerializeToString()


def started(operation: StartedOperation) -> bytes:
    """Answer an operation as it is sent."""
    return operation.serialized


def _digest(call: Call, request: Any, names: Mapping[str, str]) -> bytes:
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField(REQUEST_ID)
    for path in names:
        *above, last = path.split(".")
        message = body
        for segment in above:
            message = getattr(message, segment)
        message.ClearField(last)
    return request_digest(call.policy.path, names, body.SerializeToString(deterministic=True))


def _at(request: Any, path: str) -> str:
    value = request
    for segment in path.split("."):
        value = getattr(value, segment)
    return str(value)
