"""Threat T19: whatever goes wrong between a service and authz, nothing is allowed by it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import pytest
from stoa.authz.v1 import check_pb2, decision_pb2
from stoa.authz.v1 import policy_feed_service_pb2 as feed_pb

from services.kernel.errors import StoaError
from services.kernel.rpc.access import Caller, Kind
from services.policy.access import LocalAccess
from services.policy.consistency import ConsistencyToken, LogPosition
from services.policy.model import Kind as Entity
from services.policy.model import Removed
from services.policy.runtime import PolicyRuntime
from tests.unit.policy.worlds import GALLERY, READ, VERSION, WRITE, assign, role
from tests.wire.policy.authz_server import AuthzServer

HELD = assign("r1", GALLERY)
REVOKE = Removed(Entity.ROLE_ASSIGNMENT, HELD.name)
ALICE = Caller("alice", "t1")
Fault = Callable[[bytes, grpc.ServicerContext], bytes]


def answering(answer: bytes) -> Fault:
    return lambda _, __: answer


def failing(code: grpc.StatusCode) -> Fault:
    def fault(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, "no")

    return fault


def breaking(_: bytes, __: grpc.ServicerContext) -> bytes:
    raise RuntimeError("broken")


def silent(_: bytes, context: grpc.ServicerContext) -> bytes:
    """Answer once nobody waits any more."""
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(30)
    return b""


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


ALLOWED: Final = check_pb2.CheckAllResponse(
    decision=decision_pb2.Decision(
        allowed=True, reason=decision_pb2.DECISION_REASON_ROLE_ASSIGNMENT, epoch=1, revision=3
    )
).SerializeToString()
HEAD: Final = feed_pb.GetHeadResponse(
    epoch=1, revision=2, consistency_token=ConsistencyToken("here", LogPosition(1, 2)).encode()
).SerializeToString()
CODES: Final = [one for one in grpc.StatusCode if one is not grpc.StatusCode.OK]
FAULTS: Final[dict[str, Fault]] = {
    **{one.name: failing(one) for one in CODES},
    "exception": breaking,
    "silence": silent,
    "nothing": answering(b""),
    "no message": answering(b"\xff\xff\xff\xff"),
    "html": answering(b"<html><body>allowed: true</body></html>"),
    "half an allowance": answering(cut(ALLOWED)),
    "half a head": answering(cut(HEAD)),
    # A field of the number, and of another type.
    "text for a decision": answering(b"\x0a\x04true"),
    "an epoch and no more": answering(b"\x08\x01"),
    "a head and no token": answering(
        feed_pb.GetHeadResponse(epoch=1, revision=2).SerializeToString()
    ),
}


@dataclass
class Proxy:
    """Passes bytes on to an authz, but for methods with a fault."""

    behind: grpc.Channel
    faults: dict[str, Fault] = field(default_factory=dict)
    met: list[str] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method
        name = method.rpartition("/")[2]
        if name in {"Snapshot", "Watch"}:
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self.stream(method, request, context)
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.unary(method, request, context)
        )

    def unary(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        fault = self.faults.get(method.rpartition("/")[2])
        if fault is not None:
            self.met.append(method.rpartition("/")[2])
            return fault(request, context)
        send: Any = self.behind.unary_unary(method)
        answer: bytes = send(request, timeout=10)
        return answer

    def stream(self, method: str, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        name = method.rpartition("/")[2]
        send: Any = self.behind.unary_stream(method)
        behind = send(request)
        context.add_callback(behind.cancel)
        try:
            for one in behind:
                fault = self.faults.get(name)
                if fault is not None:
                    self.met.append(name)
                    yield fault(request, context)
                else:
                    yield one
        except grpc.RpcError as error:
            found: Any = error
            context.abort(found.code(), "the stream ends")


@pytest.fixture
def authz() -> Iterator[AuthzServer]:
    # The replica needs a part of authz only.
    server = AuthzServer()  # type: ignore[abstract]
    server.write(role("*"), HELD)
    yield server
    server.stop()


@pytest.fixture
def proxy(authz: AuthzServer) -> Iterator[Proxy]:
    with grpc.insecure_channel(f"127.0.0.1:{authz.port}") as behind:
        yield Proxy(behind)


@pytest.fixture
def channel(proxy: Proxy) -> Iterator[grpc.Channel]:
    # As a handler it is one class with `service`.
    handler = type("Handler", (grpc.GenericRpcHandler,), {"service": lambda _, d: proxy.service(d)})
    server = grpc.server(ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as found:
        yield found
    server.stop(None).wait()


@pytest.fixture
def runtime(channel: grpc.Channel) -> Iterator[PolicyRuntime]:
    made = PolicyRuntime(channel, channel, name="test")
    made.start()
    assert made.wait_ready(10)
    yield made
    made.stop()


def allowed(runtime: PolicyRuntime, kind: Kind, action: str, within: float = 10.0) -> bool:
    """Whether it is allowed by both ways to ask; what is not decided is not allowed."""
    found = []
    for ask in ("require", "allowed", "require_all"):
        try:
            access = runtime.control.begin(ALICE, kind, time.monotonic() + within, "")
            if ask == "require_all":
                access.require_all([(action, VERSION, "name")])
                found.append(True)
            else:
                found.append(getattr(access, ask)(action, VERSION) is not False)
        except (StoaError, ValueError):
            found.append(False)
    assert len(set(found)) == 1, found
    return found[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_t19_a_mutation_without_a_head_is_not_allowed(
    authz: AuthzServer, proxy: Proxy, runtime: PolicyRuntime, fault: str
) -> None:
    assert runtime.replica.wait_until(LogPosition(1, 2), 10)
    assert allowed(runtime, Kind.MUTATION, WRITE)
    authz.paused = True
    authz.write(REVOKE)
    proxy.faults["GetHead"] = FAULTS[fault]
    assert not allowed(runtime, Kind.MUTATION, WRITE, within=0.3)
    assert set(proxy.met) == {"GetHead"}
    authz.resume()


@pytest.mark.parametrize("fault", FAULTS)
def test_t19_a_question_that_is_not_answered_is_not_allowed(
    authz: AuthzServer, proxy: Proxy, runtime: PolicyRuntime, fault: str
) -> None:
    assert runtime.replica.wait_until(LogPosition(1, 2), 10)
    authz.paused = True
    # It is not taken away: whoever is not answered does not get what they would have got.
    authz.write(role("*", id="r2"))
    assert allowed(runtime, Kind.MUTATION, WRITE)
    assert len(authz.checks) == 3
    proxy.faults["CheckAll"] = FAULTS[fault]
    assert not allowed(runtime, Kind.MUTATION, WRITE, within=0.3)
    assert set(proxy.met) == {"CheckAll"}
    authz.resume()


@pytest.mark.parametrize("fault", [one for one in FAULTS if one not in {"silence", "nothing"}])
def test_t19_a_feed_that_cannot_be_read_allows_no_mutation(
    authz: AuthzServer, proxy: Proxy, runtime: PolicyRuntime, fault: str
) -> None:
    assert runtime.replica.wait_until(LogPosition(1, 2), 10)
    proxy.faults["Watch"] = FAULTS[fault]
    proxy.faults["Snapshot"] = FAULTS[fault]
    authz.write(REVOKE)
    assert not allowed(runtime, Kind.MUTATION, WRITE)
    assert runtime.control.revision == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_t19_without_a_snapshot_that_can_be_read_nothing_is_allowed(
    authz: AuthzServer, proxy: Proxy, channel: grpc.Channel, fault: str
) -> None:
    proxy.faults["Snapshot"] = FAULTS[fault]
    runtime = PolicyRuntime(channel, channel, name="test")
    runtime.start()
    try:
        assert not runtime.wait_ready(0.2)
        for kind in Kind:
            assert not allowed(runtime, kind, READ, within=0.2)
        proxy.faults.clear()
    finally:
        runtime.stop()


def test_t19_once_authz_answers_again_what_is_held_is_allowed(
    authz: AuthzServer, proxy: Proxy, runtime: PolicyRuntime
) -> None:
    for fault in ("UNAVAILABLE", "no message", "nothing"):
        proxy.faults["GetHead"] = FAULTS[fault]
        assert not allowed(runtime, Kind.MUTATION, WRITE, within=0.3)
    proxy.faults.clear()
    access = runtime.control.begin(ALICE, Kind.MUTATION, time.monotonic() + 10, "")
    access.require(WRITE, VERSION)
    assert isinstance(access, LocalAccess)
