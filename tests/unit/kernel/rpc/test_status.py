"""Errors become statuses that a client can receive, and are read back as they were."""

import pytest
from google.rpc import status_pb2

from services.kernel import errors
from services.kernel.errors import Code, FieldViolation, PreconditionViolation
from services.kernel.rpc.remote import RemoteStatus
from services.kernel.rpc.status import to_status

DOMAIN = "catalog.stoa.dev"


def test_what_is_sent_is_read_back() -> None:
    error = errors.InvalidArgument(
        "two things",
        reason="BAD",
        metadata={"a": "b"},
        violations=(FieldViolation("x.y", "is wrong", "WHY"),),
        precondition=(PreconditionViolation("T", "s", "d"),),
        retry_after=1.25,
    )
    assert RemoteStatus.decode(to_status(error, DOMAIN)) == RemoteStatus(
        code=Code.INVALID_ARGUMENT,
        message="two things",
        reason="BAD",
        domain=DOMAIN,
        metadata={"a": "b"},
        fields=error.violations,
        preconditions=error.precondition,
        retry_after=1.25,
    )


@pytest.mark.parametrize("count", [0, 1, 30, 1000])
def test_a_status_is_never_larger_than_a_client_accepts(count: int) -> None:
    error = errors.InvalidArgument(
        "\N{GREEK SMALL LETTER ALPHA}" * 3000,
        metadata={f"key{n}": "v" * 3000 for n in range(3)},
        violations=tuple(FieldViolation(f"f{n}", "z" * 3000) for n in range(count)),
        precondition=tuple(PreconditionViolation("T", "s" * 999, "d") for _ in range(count)),
        quota=tuple(errors.QuotaViolation("q" * 3000, "d") for _ in range(count)),
        resource=errors.ResourceInfo("t", "n" * 3000, "d" * 3000),
        request_id="r",
    )
    status = to_status(error, DOMAIN)
    assert status.ByteSize() <= 5 * 1024
    found = RemoteStatus.decode(status)
    assert found.reason == "INVALID_FIELDS"
    assert bool(found.fields) == (count > 0)
    assert bool(found.preconditions) == (count > 0)


def test_damaged_details_are_left_out() -> None:
    status = status_pb2.Status(code=5, message="gone")
    packed = status.details.add()
    packed.type_url = "type.googleapis.com/google.rpc.ErrorInfo"
    packed.value = b"\xff\xff"
    assert RemoteStatus.decode(status) == RemoteStatus(Code.NOT_FOUND, "gone")
