import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from cli.errors import ExitCode
from cli.statuses import describe


def status(code: int, message: str, *details: Message) -> status_pb2.Status:
    packed = []
    for detail in details:
        one = Any()
        one.Pack(detail)
        packed.append(one)
    return status_pb2.Status(code=code, message=message, details=packed)


def info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="catalog.stoa.dev", metadata=metadata)


def test_every_violated_field_is_named() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="image_version_id", description="has four parts", reason="FORM")
    bad.field_violations.add(field="target_regions[1].name", description="is repeated")
    found = describe(status(code_pb2.INVALID_ARGUMENT, "wrong", info("INVALID_FIELDS"), bad))
    assert found.why == (
        "image_version_id: has four parts [FORM]",
        "target_regions[1].name: is repeated",
    )
    assert found.todo == "Correct the values named above."
    assert found.code is ExitCode.USAGE


def test_a_single_violation_is_not_told_twice() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="location", description="is unknown", reason="REGION_UNKNOWN")
    found = describe(status(code_pb2.INVALID_ARGUMENT, "location: is unknown", bad))
    assert found.what == "The request has a wrong value."
    assert found.why == ("location: is unknown [REGION_UNKNOWN]",)


def test_preconditions_and_limits_are_named() -> None:
    failure = error_details_pb2.PreconditionFailure()
    failure.violations.add(type="REPLICA_CAPACITY", subject="eastus", description="at most 2")
    quota = error_details_pb2.QuotaFailure()
    quota.violations.add(subject="subscriptions/a", description="at most 100 galleries")
    found = describe(status(code_pb2.FAILED_PRECONDITION, "no", info("X"), failure))
    assert found.why == ("eastus: at most 2 [REPLICA_CAPACITY]",)
    found = describe(status(code_pb2.RESOURCE_EXHAUSTED, "no", info("QUOTA_EXCEEDED"), quota))
    assert found.why == ("subscriptions/a: at most 100 galleries",)
    assert found.code is ExitCode.CONFLICT


def test_what_to_do_speaks_of_what_the_error_is_about() -> None:
    denied = describe(
        status(
            code_pb2.PERMISSION_DENIED,
            "denied",
            info(
                "PERMISSION_DENIED",
                permission="Microsoft.Compute/galleries/write",
                resource="subscriptions/a",
            ),
        )
    )
    assert "Microsoft.Compute/galleries/write" in denied.todo
    assert "--scope subscriptions/a" in denied.todo
    assert denied.why == (
        "PERMISSION_DENIED: permission Microsoft.Compute/galleries/write, resource subscriptions/a",
    )


def test_metadata_that_is_missing_leaves_the_general_advice() -> None:
    found = describe(status(code_pb2.ABORTED, "busy", info("OPERATION_IN_PROGRESS")))
    assert found.todo == ""
    assert found.why == ("ABORTED, OPERATION_IN_PROGRESS",)


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        (code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND", 3),
        (code_pb2.UNAUTHENTICATED, "UNAUTHENTICATED", 4),
        (code_pb2.PERMISSION_DENIED, "PERMISSION_DENIED", 4),
        (code_pb2.ALREADY_EXISTS, "RESOURCE_EXISTS", 5),
        (code_pb2.FAILED_PRECONDITION, "RESOURCE_NOT_EMPTY", 5),
        (code_pb2.ABORTED, "ETAG_MISMATCH", 5),
        (code_pb2.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", 6),
        (code_pb2.DEADLINE_EXCEEDED, "", 6),
        (code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS", 6),
        (code_pb2.INVALID_ARGUMENT, "INVALID_FIELDS", 2),
        (code_pb2.INTERNAL, "INTERNAL", 1),
        (code_pb2.UNKNOWN, "", 1),
        (99, "", 1),
    ],
)
def test_exit_codes_tell_scripts_what_happened(code: int, reason: str, exit_code: int) -> None:
    assert describe(status(code, "message", info(reason))).code == exit_code


def test_debug_lines_hold_code_request_id_and_details() -> None:
    request = error_details_pb2.RequestInfo(request_id="r-1")
    found = describe(status(code_pb2.INTERNAL, "defect", info("INTERNAL"), request))
    assert "code: INTERNAL (13)" in found.debug
    assert "request id: r-1" in found.debug
    assert any("catalog.stoa.dev" in line for line in found.debug)


def test_a_status_without_words_is_told_by_its_code() -> None:
    assert describe(status_pb2.Status(code=code_pb2.DEADLINE_EXCEEDED)).what == "deadline exceeded"
