"""Every error that a service answers on purpose, one class per canonical code.

    StoaError
    ├── Cancelled             CANCELLED             CANCELLED
    ├── InvalidArgument       INVALID_ARGUMENT      INVALID_FIELDS
    │   └── InvalidName       INVALID_ARGUMENT      INVALID_FIELDS
    ├── DeadlineExceeded      DEADLINE_EXCEEDED     DEADLINE_EXCEEDED
    ├── NotFound              NOT_FOUND             RESOURCE_NOT_FOUND
    ├── AlreadyExists         ALREADY_EXISTS        RESOURCE_EXISTS
    ├── PermissionDenied      PERMISSION_DENIED     PERMISSION_DENIED
    ├── ResourceExhausted     RESOURCE_EXHAUSTED    QUOTA_EXCEEDED
    ├── FailedPrecondition    FAILED_PRECONDITION   PRECONDITION_FAILED
    ├── Aborted               ABORTED               OPERATION_IN_PROGRESS
    ├── OutOfRange            OUT_OF_RANGE          POSITION_COMPACTED
    │   └── PositionCompacted OUT_OF_RANGE          POSITION_COMPACTED
    ├── Unimplemented         UNIMPLEMENTED         UNIMPLEMENTED
    ├── Internal              INTERNAL              INTERNAL
    ├── Unavailable           UNAVAILABLE           DEPENDENCY_UNAVAILABLE
    └── Unauthenticated       UNAUTHENTICATED       UNAUTHENTICATED

The third column is the reason used where none is given. The transport puts the
domain of the answering service beside the reason; nothing here knows it.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final


class Code(enum.IntEnum):
    """The canonical status codes with the numbers that gRPC gives them."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that is wrong: an entry of `google.rpc.BadRequest`.

    `field` is the path as the proto spells it, for example `gallery.tags`.
    """

    field: str
    description: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """One fact of the stored state that forbids the call.

    An entry of `google.rpc.PreconditionFailure`; `subject` is a resource name or,
    for a property that may not change, its path.
    """

    type: str
    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """One limit that is reached: an entry of `google.rpc.QuotaFailure`."""

    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class ResourceInfo:
    """The resource that the error is about: `google.rpc.ResourceInfo`."""

    type: str
    name: str
    description: str = ""


class StoaError(Exception):
    """An answer other than success, complete enough to be sent as it is.

    `retry_after` is in seconds; `request_id` names the log entry of a defect.
    """

    code: ClassVar[Code] = Code.UNKNOWN
    default_reason: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        precondition: Sequence[PreconditionViolation] = (),
        quota: Sequence[QuotaViolation] = (),
        resource: ResourceInfo | None = None,
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message: Final = message
        self.reason: Final = reason or self.default_reason
        self.metadata: Final[Mapping[str, str]] = MappingProxyType(dict(metadata or {}))
        self.violations: Final = tuple(violations)
        self.precondition: Final = tuple(precondition)
        self.quota: Final = tuple(quota)
        self.resource: Final = resource
        self.retry_after: Final = retry_after
        self.request_id: Final = request_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason}: {self.message})"


class Cancelled(StoaError):
    """The caller, or another one entitled to, cancelled the work."""

    code = Code.CANCELLED
    default_reason = "CANCELLED"


class InvalidArgument(StoaError):
    """The request alone shows what is wrong."""

    code = Code.INVALID_ARGUMENT
    default_reason = "INVALID_FIELDS"

    @classmethod
    def of(
        cls, field: str, description: str, *, reason: str = "INVALID_FIELDS"
    ) -> "InvalidArgument":
        """Build the error for one wrong field."""
        violation = FieldViolation(field, description, reason)
        return cls(f"{field}: {description}", reason=reason, violations=(violation,))


class InvalidName(InvalidArgument):
    """A resource name that no pattern of the expected resource matches.

    `field` is the request field that held it and `problem` says what is wrong.
    """

    def __init__(self, text: str, problem: str, *, field: str = "name") -> None:
        super().__init__(
            f"{field}: {problem}",
            violations=(FieldViolation(field, problem, self.default_reason),),
        )
        self.text: Final = text
        self.problem: Final = problem
        self.field: Final = field


class DeadlineExceeded(StoaError):
    """The deadline of the caller passed."""

    code = Code.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class NotFound(StoaError):
    """The resource does not exist and the caller may know that."""

    code = Code.NOT_FOUND
    default_reason = "RESOURCE_NOT_FOUND"

    @classmethod
    def of(cls, resource_type: str, name: str) -> "NotFound":
        """Build the error for one absent resource."""
        return cls(
            f"{name} does not exist",
            metadata={"resource": name},
            resource=ResourceInfo(resource_type, name),
        )


class AlreadyExists(StoaError):
    """The name, or another unique property, is taken."""

    code = Code.ALREADY_EXISTS
    default_reason = "RESOURCE_EXISTS"

    @classmethod
    def of(cls, resource_type: str, name: str) -> "AlreadyExists":
        """Build the error for one name that is taken."""
        return cls(
            f"{name} exists already",
            metadata={"resource": name},
            resource=ResourceInfo(resource_type, name),
        )


class PermissionDenied(StoaError):
    """The caller lacks the action at the scope, or the resource does not exist."""

    code = Code.PERMISSION_DENIED
    default_reason = "PERMISSION_DENIED"

    @classmethod
    def of(cls, permission: str, resource: str) -> "PermissionDenied":
        """Build the one denial there is, the same whether or not `resource` exists (AIP-211)."""
        return cls(
            f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
            metadata={"permission": permission, "resource": resource},
            resource=ResourceInfo("", resource),
        )


class ResourceExhausted(StoaError):
    """A limit is reached, or too many calls are under way."""

    code = Code.RESOURCE_EXHAUSTED
    default_reason = "QUOTA_EXCEEDED"


class FailedPrecondition(StoaError):
    """The stored state forbids the call."""

    code = Code.FAILED_PRECONDITION
    default_reason = "PRECONDITION_FAILED"


class Aborted(StoaError):
    """Another change came first: read again, then decide again."""

    code = Code.ABORTED
    default_reason = "OPERATION_IN_PROGRESS"


class OutOfRange(StoaError):
    """What was asked for lies outside of what is held."""

    code = Code.OUT_OF_RANGE
    default_reason = "POSITION_COMPACTED"


class PositionCompacted(OutOfRange):
    """The position to resume from is no longer held: take a snapshot.

    `oldest` is the oldest position that can still be resumed from.
    """

    def __init__(self, oldest: int) -> None:
        super().__init__(
            f"the oldest position that is still held is {oldest}",
            metadata={"oldest": str(oldest)},
        )
        self.oldest: Final = oldest


class Unimplemented(StoaError):
    """The method, or this use of it, is not built."""

    code = Code.UNIMPLEMENTED
    default_reason = "UNIMPLEMENTED"


class Internal(StoaError):
    """A defect of the server; `request_id` is where its log has the details."""

    code = Code.INTERNAL
    default_reason = "INTERNAL"


class Unavailable(StoaError):
    """Something that the call needs does not answer; nothing was changed."""

    code = Code.UNAVAILABLE
    default_reason = "DEPENDENCY_UNAVAILABLE"


class Unauthenticated(StoaError):
    """No credentials, or credentials that prove nothing."""

    code = Code.UNAUTHENTICATED
    default_reason = "UNAUTHENTICATED"


_CLASSES: Final[Mapping[Code, type[StoaError]]] = MappingProxyType(
    {
        error.code: error
        for error in (
            Cancelled,
            InvalidArgument,
            DeadlineExceeded,
            NotFound,
            AlreadyExists,
            PermissionDenied,
            ResourceExhausted,
            FailedPrecondition,
            Aborted,
            OutOfRange,
            Unimplemented,
            Internal,
            Unavailable,
            Unauthenticated,
        )
    }
)


def class_of(code: Code) -> type[StoaError]:
    """Answer the class for a code; `StoaError` itself for UNKNOWN and DATA_LOSS."""
    return _CLASSES.get(code, StoaError)
