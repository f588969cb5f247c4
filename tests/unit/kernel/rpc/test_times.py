"""Times beyond what their types can hold are refused before anything computes with them."""

import pytest
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from stoa.authz.v1 import audit_service_pb2, role_assignment_service_pb2

from services.kernel.errors import InvalidArgument
from services.kernel.rpc import times

LAST_SECOND = 253402300799
LONGEST = 315576000000


def paths(message: object) -> set[str]:
    with pytest.raises(InvalidArgument) as refused:
        times.check(message)  # type: ignore[arg-type]
    return {violation.field for violation in refused.value.violations}


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(LONGEST + 1, 0), (2**63 - 1, 0), (0, 1_000_000_000), (1, -1)]
)
def test_a_duration_that_is_none_is_refused(seconds: int, nanos: int) -> None:
    span = Duration(seconds=seconds, nanos=nanos)
    assert paths(operations_pb2.WaitOperationRequest(timeout=span)) == {"timeout"}


def test_every_wrong_time_within_a_request_is_named() -> None:
    request = role_assignment_service_pb2.CreateRoleAssignmentRequest()
    request.role_assignment.start_time.seconds = LAST_SECOND + 1
    request.role_assignment.end_time.nanos = -1
    request.role_assignment.create_time.seconds = LAST_SECOND
    assert paths(request) == {"role_assignment.start_time", "role_assignment.end_time"}


def test_a_time_in_a_repeated_message_is_named_by_its_place() -> None:
    request = audit_service_pb2.AppendAuditRecordsRequest()
    request.audit_records.add().create_time.seconds = 1
    request.audit_records.add().create_time.seconds = -(2**63)
    assert paths(request) == {"audit_records[1].create_time"}


def test_the_last_moment_and_the_longest_span_are_accepted() -> None:
    times.check(Timestamp(seconds=LAST_SECOND, nanos=999_999_999))
    times.check(operations_pb2.WaitOperationRequest(timeout=Duration(seconds=-LONGEST)))


def test_only_types_with_times_within_are_looked_through() -> None:
    assert times.holds_times(operations_pb2.WaitOperationRequest.DESCRIPTOR)
    assert times.holds_times(role_assignment_service_pb2.CreateRoleAssignmentRequest.DESCRIPTOR)
    assert not times.holds_times(operations_pb2.GetOperationRequest.DESCRIPTOR)
