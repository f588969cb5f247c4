"""Collects everything that is wrong with a call, to answer it all at once."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from services.kernel.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    PermissionDenied,
    PreconditionViolation,
    StoaError,
)

INVALID_FIELDS = "INVALID_FIELDS"
PRECONDITION_FAILED = "PRECONDITION_FAILED"
PROPERTY_CHANGE_NOT_ALLOWED = "PROPERTY_CHANGE_NOT_ALLOWED"


class Violations:
    """What the layers of one call found, raised once by the use case.

    A wrong request is INVALID_ARGUMENT and then carries the preconditions too; facts
    of the stored state alone are FAILED_PRECONDITION. Where every violation that
    decides the code has the same reason, that is the reason of the error.
    """

    def __init__(self) -> None:
        self._fields: dict[FieldViolation, Mapping[str, str]] = {}
        self._preconditions: dict[PreconditionViolation, tuple[str, Mapping[str, str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._fields or self._preconditions)

    def copy(self) -> "Violations":
        """Answer a collection with the same findings, for work that may have to begin again."""
        copy = Violations()
        copy._fields.update(self._fields)
        copy._preconditions.update(self._preconditions)
        return copy

    @property
    def fields(self) -> tuple[FieldViolation, ...]:
        """The wrong fields, in the order in which they were found, each once."""
        return tuple(self._fields)

    @property
    def preconditions(self) -> tuple[PreconditionViolation, ...]:
        """The facts that forbid the call, in the order in which they were found."""
        return tuple(self._preconditions)

    def has_field(self, field: str) -> bool:
        """Whether `field`, or something below it, was found wrong already."""
        return any(
            found.field == field or found.field.startswith((f"{field}.", f"{field}["))
            for found in self._fields
        )

    def add(
        self,
        field: str,
        description: str,
        *,
        reason: str = INVALID_FIELDS,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Record that the request shows `field` to be wrong."""
        self._fields.setdefault(FieldViolation(field, description, reason), metadata or {})

    def extend(self, error: InvalidArgument) -> None:
        """Take over the violations of an error that a parser raised."""
        for violation in error.violations:
            self._fields.setdefault(violation, error.metadata)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Take over what a parser raises inside the `with` block, and go on after it."""
        try:
            yield
        except InvalidArgument as error:
            self.extend(error)

    def precondition(
        self,
        type: str,
        subject: str,
        description: str,
        *,
        reason: str = PRECONDITION_FAILED,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Record that the state of `subject` forbids the call."""
        violation = PreconditionViolation(type, subject, description)
        self._preconditions.setdefault(violation, (reason, metadata or {}))

    def immutable(self, path: str) -> None:
        """Record that the property at `path` would change and may not (DESIGN section 3)."""
        self.precondition(
            PROPERTY_CHANGE_NOT_ALLOWED,
            path,
            f"{path} cannot be changed",
            reason=PROPERTY_CHANGE_NOT_ALLOWED,
            metadata={"field": path},
        )

    def error(self) -> StoaError | None:
        """Build the error that answers the call, or None when nothing was found."""
        if self._fields:
            return InvalidArgument(
                "; ".join(f"{found.field}: {found.description}" for found in self._fields),
                reason=_only({found.reason for found in self._fields}, INVALID_FIELDS),
                metadata=_merged(self._fields.values()),
                violations=self.fields,
                precondition=self.preconditions,
            )
        if self._preconditions:
            reasons = {reason for reason, _ in self._preconditions.values()}
            return FailedPrecondition(
                "; ".join(found.description for found in self._preconditions),
                reason=_only(reasons, PRECONDITION_FAILED),
                metadata=_merged(metadata for _, metadata in self._preconditions.values()),
                precondition=self.preconditions,
            )
        return None

    def raise_if_any(self) -> None:
        """Raise what was found.

        Raises:
            InvalidArgument: the request alone shows something wrong.
            FailedPrecondition: only the stored state stands in the way.
        """
        if error := self.error():
            try:
                raise error
            finally:
                # A frame that keeps the error it raised is a cycle, and keeps the call open.
                del error


@contextmanager
def nested(part: str, violations: Violations) -> Iterator[Violations]:
    """Yield what a whole request that lies in the field `part` of a call begins with.

    Who handles that request names its fields as if it had been sent alone; what is raised in the
    block names them from outside. What is wrong around the request is raised with it, or after it.

    Raises:
        InvalidArgument: something around the request is wrong, or what was raised in the block.
    """
    inner, outer = Violations(), Violations()
    for found, metadata in violations._fields.items():
        if found.field.startswith(f"{part}."):
            inner._fields[replace(found, field=found.field.removeprefix(f"{part}."))] = metadata
        else:
            outer._fields[found] = metadata
    try:
        yield inner
    except PermissionDenied:
        raise
    except StoaError as error:
        if isinstance(error, InvalidArgument):
            for found in error.violations:
                below = replace(found, field=f"{part}.{found.field}")
                outer._fields.setdefault(below, error.metadata)
        if outer and (told := outer.error()) is not None:
            raise InvalidArgument(
                told.message,
                reason=told.reason,
                metadata=told.metadata,
                violations=told.violations,
                precondition=error.precondition,
            ) from error
        raise
    outer.raise_if_any()


def _only(reasons: set[str], otherwise: str) -> str:
    return next(iter(reasons)) if len(reasons) == 1 else otherwise


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    merged: dict[str, list[str]] = {}
    for part in parts:
        for key, value in part.items():
            values = merged.setdefault(key, [])
            if value not in values:
                values.append(value)
    return {key: ",".join(values) for key, values in merged.items()}
