"""Threat T19: a server whose access control breaks serves nothing."""

from typing import Any

import grpc
import pytest

from services.kernel import errors
from tests.wire.kernel.library import Client, Grants, LibraryServicer, info_of, pb
from tests.wire.kernel.test_sync_server import BOOK, failed

FAULTS: tuple[Exception, ...] = (
    RuntimeError("broken"),
    KeyError("broken"),
    AttributeError("broken"),
    TimeoutError("broken"),
    ConnectionError("broken"),
    RecursionError("broken"),
    MemoryError("broken"),
    ValueError("broken"),
    StopIteration("broken"),
    errors.Unavailable("broken", metadata={"service": "authz"}),
    errors.Internal("broken", request_id="1"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("where", ["begin", "require"])
def test_t19_what_the_access_control_raises_is_never_a_permission(
    client: Client,
    servicer: LibraryServicer,
    grants: Grants,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    where: str,
) -> None:
    assert client("GetBook", pb.GetBookRequest(name=BOOK)).name == BOOK
    served = len(servicer.calls)

    def broken(*_: Any) -> Any:
        raise fault

    if where == "begin":
        monkeypatch.setattr(grants, "begin", broken)
    else:
        real = grants.begin

        def begin(*arguments: Any) -> Any:
            access = real(*arguments)
            monkeypatch.setattr(access, "require", broken)
            return access

        monkeypatch.setattr(grants, "begin", begin)
    error = failed(client, "GetBook", pb.GetBookRequest(name=BOOK))
    away = isinstance(fault, errors.Unavailable)
    assert error.code() is (grpc.StatusCode.UNAVAILABLE if away else grpc.StatusCode.INTERNAL)
    assert info_of(error).reason
    assert len(servicer.calls) == served
