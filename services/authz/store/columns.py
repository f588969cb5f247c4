"""Column types for what records hold besides texts, numbers and times."""

import enum
from typing import Any, Generic, TypeVar

from sqlalchemy import Dialect, Text, TypeDecorator

from services.kernel.db.tables import Json
from services.policy.model import Permissions

E = TypeVar("E", bound=enum.Enum)


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
