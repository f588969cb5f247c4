"""Column types for what records hold besides texts, numbers and times."""

import enum
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, Text, TypeDecorator

from services.authz.domain.eligibility import Activation
from services.kernel.db.tables import Json, from_microseconds, to_microseconds
from services.policy.model import Permissions

E = TypeVar("E", bound=enum.Enum)
_MICROSECOND: Final = timedelta(microseconds=1)


class EnumText(TypeDecorator[E], Generic[E]):
    """A member of an enum, stored as its value."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[E]) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Store the value of a member; a text is a value already, for conditions."""
        return str(value.value) if isinstance(value, enum.Enum) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> E | None:
        """Answer the member."""
        return None if value is None else self.of(value)


class Texts(TypeDecorator[tuple[str, ...]]):
    """Several texts in their order."""

    impl = Json
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> Any:
        """Store a list."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """Answer a tuple."""
        return None if value is None else tuple(value)


class PermissionList(TypeDecorator[tuple[Permissions, ...]]):
    """The permissions of a role or a deny assignment, four lists of patterns each."""

    impl = Json
    cache_ok = True

    def process_bind_param(self, value: tuple[Permissions, ...] | None, dialect: Dialect) -> Any:
        """Store a list of lists."""
        if value is None:
            return None
        return [
            [
                list(one.actions),
                list(one.not_actions),
                list(one.data_actions),
                list(one.not_data_actions),
            ]
            for one in value
        ]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Permissions, ...] | None:
        """Answer permissions."""
        if value is None:
            return None
        return tuple(Permissions(*(tuple(patterns) for patterns in one)) for one in value)


class Span(TypeDecorator[timedelta]):
    """A length of time, in microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        """Store microseconds."""
        return None if value is None else value // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> timedelta | None:
        """Answer the length."""
        return None if value is None else value * _MICROSECOND


class ActivationList(TypeDecorator[tuple[Activation, ...]]):
    """The activations of an eligible assignment: few, and read with it alone."""

    impl = Json
    cache_ok = True

    def process_bind_param(self, value: tuple[Activation, ...] | None, dialect: Dialect) -> Any:
        """Store a list of lists."""
        if value is None:
            return None
        return [
            [
                one.principal,
                to_microseconds(one.start_time),
                to_microseconds(one.end_time),
                one.justification,
            ]
            for one in value
        ]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Activation, ...] | None:
        """Answer activations."""
        if value is None:
            return None
        return tuple(
            Activation(principal, from_microseconds(start), from_microseconds(end), justification)
            for principal, start, end, justification in value
        )
