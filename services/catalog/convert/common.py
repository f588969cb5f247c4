"""Times, durations and enums between the contract and the domain."""

import enum
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.catalog.v1 import provisioning_state_pb2

from services.catalog.domain.resource import ProvisioningState, Resource

E = TypeVar("E", bound=enum.Enum)


class EnumMap(Generic[E]):
    """An enum of the domain and one of the contract, whose values are named alike."""

    def __init__(self, ours: type[E], theirs: Any, prefix: str) -> None:
        """Pair each member with the value that is called `prefix` and the member's name."""
        self._numbers: Final = {one: int(theirs.Value(prefix + one.name)) for one in ours}
        self._members: Final = {number: one for one, number in self._numbers.items()}

    def number(self, member: E | None) -> Any:
        """Answer the value of the contract, 0 for None."""
        return 0 if member is None else self._numbers[member]

    def member(self, number: int) -> E | None:
        """Answer the member, None for 0 and for what the contract does not define."""
        return self._members.get(number)

    def __iter__(self) -> Iterator[E]:
        return iter(self._numbers)


PROVISIONING_STATES: Final = EnumMap(
    ProvisioningState, provisioning_state_pb2.ProvisioningState, "PROVISIONING_STATE_"
)


def timestamp(time: datetime) -> Timestamp:
    """Answer a time as the contract has it."""
    made = Timestamp()
    made.FromDatetime(time)
    return made


def to_datetime(time: Timestamp) -> datetime:
    """Answer a time of the contract, aware, cut to microseconds."""
    return time.ToDatetime(UTC)


def duration(span: timedelta) -> Duration:
    """Answer a span of time as the contract has it."""
    made = Duration()
    made.FromTimedelta(span)
    return made


def optional_time(message: Message, field: str) -> datetime | None:
    """Answer the time in a field of a message, None where it is absent."""
    return to_datetime(getattr(message, field)) if message.HasField(field) else None


def fill(message: Any, resource: Resource) -> None:
    """Set the fields that every resource has."""
    message.name = resource.name
    message.location = resource.location
    message.tags.update(resource.tags)
    message.create_time.FromDatetime(resource.create_time)
    message.update_time.FromDatetime(resource.update_time)
    message.uid = resource.uid
    message.etag = resource.etag
    message.provisioning_state = PROVISIONING_STATES.number(resource.state)
