"""What a service answered instead of a result, told to a person."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    import grpc
    from google.rpc import error_details_pb2, status_pb2

REQUEST_ID: Final = "x-request-id"

# By the numbers of google.rpc.Code, which operations carry too.
_EXIT_CODES: Final = {
    1: ExitCode.GENERAL,  # CANCELLED
    3: ExitCode.USAGE,  # INVALID_ARGUMENT
    4: ExitCode.UNAVAILABLE,  # DEADLINE_EXCEEDED
    5: ExitCode.NOT_FOUND,
    6: ExitCode.CONFLICT,  # ALREADY_EXISTS
    7: ExitCode.DENIED,  # PERMISSION_DENIED
    8: ExitCode.CONFLICT,  # RESOURCE_EXHAUSTED: a limit; see _exit_code
    9: ExitCode.CONFLICT,  # FAILED_PRECONDITION
    10: ExitCode.CONFLICT,  # ABORTED
    14: ExitCode.UNAVAILABLE,
    16: ExitCode.DENIED,  # UNAUTHENTICATED
}

# What to do, by the reason of the error; {name} stands for its metadata.
_TODO: Final = {
    "UNAUTHENTICATED": "Sign in again with `stoa login`, or check the context: stoa context list",
    "PERMISSION_DENIED": "Ask an owner to grant a role with {permission}: stoa role assignment "
    "create --assignee PRINCIPAL --role ROLE --scope {resource}",
    "RESOURCE_NOT_FOUND": "Check the name; `list` shows what there is.",
    "PARENT_NOT_FOUND": "Create {resource} first.",
    "RESOURCE_EXISTS": "Choose another name, or use what is there: {resource}",
    "REQUEST_ID_REUSED": "Give this request an id of its own.",
    "PAGE_TOKEN_INVALID": "Start the list again.",
    "ETAG_MISMATCH": "Somebody changed {resource}. Read it again and repeat the change.",
    "OPERATION_IN_PROGRESS": "Wait for it and repeat: stoa operation wait {operation}",
    "PROPERTY_CHANGE_NOT_ALLOWED": "Create another one; {field} cannot be changed.",
    "STILL_SHARED": "Take the sharing back first: stoa share reset",
    "BLOB_HELD": "Delete what is made of it first.",
    "RESOURCE_NOT_EMPTY": "Delete these first: {children}",
    "TOO_MANY_REQUESTS": "Try again in a moment.",
    "SHALLOW_READERS_EXCEEDED": "Come back later, or have it copied: stoa image-version promote",
    "DEPENDENCY_UNAVAILABLE": "Nothing was changed. See whether {service} runs: stoa status",
    "SHUTTING_DOWN": "Try again in a moment.",
    "DEADLINE_EXCEEDED": "Try again; whether the change was made, `show` tells.",
    "UNIMPLEMENTED": "The installation is of an older version: stoa version",
    "INTERNAL": "This is a defect of the service. Its log has the request under the id that "
    "--debug shows.",
}
_WHAT: Final = {
    3: "The request has a wrong value.",
    8: "A limit is reached.",
    9: "The state of things does not allow it.",
}
_TODO_BY_CODE: Final = {
    3: "Correct the values named above.",
    14: "See whether the installation runs: stoa status. Start one here: stoa up",
    4: "Try again; whether the change was made, `show` tells.",
}


def failure(error: "grpc.RpcError") -> CliError:
    """What a failed call means."""
    from google.rpc import status_pb2
    from grpc_status import rpc_status

    # What a stub raises is the call as well, which the types do not say.
    call: Any = error
    try:
        status = rpc_status.from_call(call)
    except ValueError:
        status = None  # The details are of another error: something between us answered.
    if status is None:
        status = status_pb2.Status(code=call.code().value[0], message=call.details() or "")
    trailing = call.trailing_metadata() or ()
    return describe(
        status, debug=[f"request id: {value}" for key, value in trailing if key == REQUEST_ID]
    )


def describe(status: "status_pb2.Status", *, debug: Sequence[str] = ()) -> CliError:
    """What a status means: an answer, or the error of an operation."""
    from google.protobuf.text_format import MessageToString
    from google.rpc import code_pb2

    details = _Details(status)
    name = code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else "UNKNOWN"
    lines = [f"code: {name} ({status.code})", *debug]
    if details.request_id:
        lines.append(f"request id: {details.request_id}")
    lines += [f"detail: {MessageToString(one, as_one_line=True)}" for one in status.details]
    why = tuple(_why(name, details))
    what = status.message or name.replace("_", " ").lower()
    if any(line.startswith(what) for line in why):
        # A single violation is the message as well; once is enough.
        what = _WHAT.get(status.code, what)
    return CliError(
        what,
        why=why,
        todo=_todo(status.code, details),
        code=_exit_code(status.code, details),
        debug=tuple(lines),
    )


class _Details:
    """The details that a status may carry, at most one of each kind."""

    def __init__(self, status: "status_pb2.Status") -> None:
        from google.rpc import error_details_pb2 as pb

        self.info = pb.ErrorInfo()
        self.bad_request = pb.BadRequest()
        self.preconditions = pb.PreconditionFailure()
        self.quota = pb.QuotaFailure()
        request = pb.RequestInfo()
        kinds: tuple[Any, ...] = (
            self.info,
            self.bad_request,
            self.preconditions,
            self.quota,
            request,
        )
        for packed in status.details:
            for kind in kinds:
                if packed.Is(kind.DESCRIPTOR):
                    packed.Unpack(kind)
        self.request_id = request.request_id


def _why(name: str, details: _Details) -> Iterator[str]:
    violations = details.bad_request.field_violations
    for field in violations:
        yield f"{field.field}: {field.description}" + _bracketed(field.reason)
    for precondition in details.preconditions.violations:
        yield f"{precondition.subject}: {precondition.description}" + _bracketed(precondition.type)
    for limit in details.quota.violations:
        yield f"{limit.subject}: {limit.description}"
    if not (violations or details.preconditions.violations or details.quota.violations):
        yield _reason(name, details.info)


def _reason(name: str, info: "error_details_pb2.ErrorInfo") -> str:
    if not info.reason:
        return name
    metadata = ", ".join(f"{key} {value}" for key, value in sorted(info.metadata.items()))
    spoken = info.reason if info.reason == name else f"{name}, {info.reason}"
    return f"{spoken}: {metadata}" if metadata else spoken


def _bracketed(reason: str) -> str:
    return f" [{reason}]" if reason else ""


def _todo(code: int, details: _Details) -> str:
    text = _TODO.get(details.info.reason) or _TODO_BY_CODE.get(code, "")
    try:
        return text.format_map(dict(details.info.metadata))
    except (KeyError, ValueError):
        return _TODO_BY_CODE.get(code, "")


def _exit_code(code: int, details: _Details) -> ExitCode:
    if details.info.reason == "TOO_MANY_REQUESTS":
        return ExitCode.UNAVAILABLE
    return _EXIT_CODES.get(code, ExitCode.GENERAL)


def reason_of(error: "grpc.RpcError") -> str:
    """The reason of a failed call's ErrorInfo, empty where it has none."""
    from grpc_status import rpc_status

    call: Any = error
    try:
        status = rpc_status.from_call(call)
    except ValueError:
        return ""
    return _Details(status).info.reason if status is not None else ""
