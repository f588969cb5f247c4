"""Times between the domain and the contract."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(time: datetime) -> Timestamp:
    """Answer an aware datetime as a Timestamp."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def moment(message: Timestamp) -> datetime:
    """Answer a Timestamp as an aware datetime, in microseconds."""
    return message.ToDatetime(tzinfo=UTC)
