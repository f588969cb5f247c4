"""Waits for operations of the contract (google.longrunning.Operations)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cli.connection import Connection
from cli.errors import CliError, ExitCode
from cli.messages import import_messages
from cli.statuses import describe

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

# A server answers an unfinished operation after 30 s; we ask again.
_ONE_WAIT: Final = 25


def wait(
    connection: Connection,
    operation: "Operation",
    *,
    service: str = "catalog",
    on_progress: "Callable[[Operation], None] | None" = None,
    seconds: int = _ONE_WAIT,
) -> "Operation":
    """Wait until an operation is done and succeeded; answer it.

    `on_progress` sees it after each wait, of which one lasts for at most so many `seconds`.

    Raises:
        CliError: it failed, was cancelled, or the person stopped waiting (the operation goes on).
    """
    from google.longrunning import operations_pb2, operations_pb2_grpc
    from google.protobuf.duration_pb2 import Duration

    stub = connection.stub(service, operations_pb2_grpc.OperationsStub)
    try:
        while not operation.done:
            request = operations_pb2.WaitOperationRequest(
                name=operation.name, timeout=Duration(seconds=seconds)
            )
            operation = stub.WaitOperation(request)
            if on_progress is not None:
                on_progress(operation)
    except KeyboardInterrupt:
        raise CliError(
            f"Stopped waiting; {operation.name} goes on.",
            todo=f"Wait for it: stoa operation wait {operation.name}",
            code=ExitCode.INTERRUPTED,
        ) from None
    return finished(operation)


def finished(operation: "Operation") -> "Operation":
    """The operation, which is done, if it succeeded.

    Raises:
        CliError: it did not.
    """
    if operation.HasField("error"):
        raise describe(operation.error, debug=(f"operation: {operation.name}",))
    return operation


def result(operation: "Operation") -> Any:
    """The message that an operation answers, None where it answers nothing."""
    from google.protobuf import descriptor_pool, message_factory

    packed = operation.response
    name = packed.TypeName()
    if not operation.HasField("response") or name == "google.protobuf.Empty":
        return None
    import_messages(name.rpartition(".")[0])
    found = descriptor_pool.Default().FindMessageTypeByName(name)
    message = message_factory.GetMessageClass(found)()
    packed.Unpack(message)
    return message
