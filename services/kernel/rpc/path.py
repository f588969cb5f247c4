"""The one path that every call takes, whichever server carries it and whatever it streams.

Authenticate, deadline, parse the name, authorize, collect the violations of the contract,
serve, map what escaped (DESIGN section 3). Plain functions that may block: the sync server
calls them on its pool threads, the aio server through its executors.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from services.kernel import names
from services.kernel.errors import (
    Code,
    Internal,
    InvalidArgument,
    InvalidName,
    PermissionDenied,
    ResourceExhausted,
    StoaError,
    Unavailable,
    Unimplemented,
)
from services.kernel.ids import new_uid
from services.kernel.rpc import sizes, texts, times, validation
from services.kernel.rpc.access import AccessControl, Kind
from services.kernel.rpc.call import Call
from services.kernel.rpc.identity import MAX_CONSISTENCY_TOKEN, Authenticator, PeerContext, Sent
from services.kernel.rpc.method_policy import MethodPolicy, Rule
from services.kernel.rpc.remote import translated
from services.kernel.rpc.status import DETAILS_KEY, GRPC_CODES, to_status
from services.kernel.stopping import Stop
from services.kernel.telemetry import logs, trace, tracer
from services.kernel.telemetry.telemetry import Telemetry
from services.kernel.telemetry.tracer import SpanKind

# The longest that a call of a kind may take, in seconds, whatever its caller allows. A wait
# answers after 30 s by itself (DESIGN section 1).
CAPS: Final[Mapping[Kind, float]] = {
    Kind.READ: 30.0,
    Kind.MUTATION: 60.0,
    Kind.WAIT: 40.0,
    Kind.STREAM: math.inf,
}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Front:
    """What the methods of one listener share; `domain` is that of the ErrorInfo it answers."""

    domain: str
    authenticator: Authenticator
    control: AccessControl
    telemetry: Telemetry
    stopping: Stop


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is sent; `code` is its name."""

    status: grpc.StatusCode
    message: str
    trailing: tuple[tuple[str, str | bytes], ...]

    @property
    def code(self) -> str:
        """The name of the code."""
        return self.status.name


class Path:
    """The path to one method behind one listener."""

    __slots__ = ("_attributes", "_cap", "_timed", "front", "method", "policy", "request")

    def __init__(self, policy: MethodPolicy, front: Front) -> None:
        self.policy: Final = policy
        self.front: Final = front
        self.method: Final = policy.path[1:]
        self.request: Final[type[Message]] = GetMessageClass(policy.descriptor.input_type)
        self._timed: Final = times.holds_times(policy.descriptor.input_type)
        self._cap: Final = CAPS[policy.kind]
        self._attributes: Final = {"rpc.system.name": "grpc", "rpc.method": self.method}

    def open(self, context: Any, is_active: Callable[[], bool]) -> tuple[Call, Sent]:
        """Begin a call from the context of either server: its trace, its deadline.

        Never fails and never blocks.
        """
        sent = Sent(context.invocation_metadata())
        remaining = context.time_remaining()
        limit = self._cap if remaining is None else min(remaining, self._cap)
        begun = self.front.telemetry.tracer.begin(
            self.method,
            SpanKind.SERVER,
            sent.trace_context(),
            self._attributes,
            method=self.method,
        )
        begun.deadline = time.monotonic() + limit
        trace.enter(begun)
        call = Call(
            self.policy,
            self.front.control,
            self.front.stopping,
            begun,
            deadline=begun.deadline,
            consistency_token=sent.consistency_token,
            is_active=is_active,
        )
        return call, sent

    def authenticate(self, call: Call, sent: Sent, peer: PeerContext) -> None:
        """Fill in the caller, and refuse a workload that the method is not for.

        Raises:
            Unauthenticated: nobody was proven.
            PermissionDenied: the method is for other workloads.
            DeadlineExceeded: the call waited too long for its turn.
        """
        call.check()
        if len(sent.consistency_token) > MAX_CONSISTENCY_TOKEN:
            raise InvalidArgument("the consistency token is too long")
        call.caller = self.front.authenticator.authenticate(sent, peer)
        call.trace.caller = call.caller.id
        if call.caller.is_workload:
            self._admit_workload(call)

    def _admit_workload(self, call: Call) -> None:
        """Let a service in where the contract lists it, and ask it for no action there.

        Where it lists others, nobody else is let in. Where it lists none, what is everybody's is
        also a service's, and nothing else.
        """
        if call.caller.workload in self.policy.workloads:
            call.grant()
        elif self.policy.workloads or self.policy.rule is not Rule.OWN:
            raise PermissionDenied.of(self.policy.action or self.policy.path, names.ROOT)

    def parse(self, raw: bytes) -> Message:
        """Read the request.

        Raises:
            InvalidArgument: it is no message of the method's type, has too many parts, or holds
                times that are none or texts that no database keeps.
        """
        try:
            request = self.request.FromString(raw)
        except DecodeError:
            name = self.policy.descriptor.input_type.full_name
            raise InvalidArgument(f"the request is not a {name}") from None
        sizes.check(request, raw)
        if self._timed:
            times.check(request)
        texts.check(request, raw)
        return request

    def admit(self, call: Call, request: Message) -> None:
        """Parse the name, authorize, then collect what the contract alone shows wrong.

        Raises:
            InvalidArgument: the scope has no valid name; carries all broken rules.
            PermissionDenied: the action is not held.
            Unavailable: it cannot be decided now.
        """
        scope = self.policy.scope
        if scope is not None:
            try:
                call.scope = scope.read(request)
            except InvalidName as error:
                call.violations.extend(error)
                validation.collect(request, call.violations)
                call.violations.raise_if_any()
        if self.policy.rule is Rule.ACTION:
            name = call.scope
            if name is None:
                call.access.require(self.policy.action, names.ROOT)
            elif not name.has_wildcard:
                call.access.require(self.policy.action, name.text)
        validation.collect(request, call.violations)

    def finish(self, call: Call, error: BaseException | None = None) -> Failure | None:
        """Record how the call ended; answer what is sent in place of a reply."""
        if error is None:
            self._record(call, "OK", "")
            return None
        failed = call.ended or self._failed(call, error)
        status = to_status(failed, self.front.domain)
        failure = Failure(
            GRPC_CODES[failed.code],
            status.message,
            ((DETAILS_KEY, status.SerializeToString()),),
        )
        self._record(call, failure.code, failed.message)
        _let_go(error)
        return failure

    def abandoned(self, call: Call) -> None:
        """Record a call whose caller went away or whose time ran out; nobody reads an answer."""
        # The transport's timer and ours are not the same to the millisecond.
        over = time.monotonic() >= call.deadline - 0.01
        self._record(call, "DEADLINE_EXCEEDED" if over else "CANCELLED", "")

    def _failed(self, call: Call, error: BaseException) -> StoaError:
        if isinstance(error, StoaError):
            if error.code not in {Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS}:
                return error
        elif isinstance(error, grpc.RpcError):
            known = translated(error, "other")
            if known.code is not Code.INTERNAL:
                return known
        request_id = new_uid()
        _LOG.error("a call failed", exc_info=error, extra=logs.fields(request_id=request_id))
        return Internal("the server failed; its log has the details", request_id=request_id)

    def _record(self, call: Call, code: str, message: str) -> None:
        telemetry = self.front.telemetry
        seconds = time.perf_counter() - call.started
        telemetry.server_durations.record(self.method, code, seconds)
        begun = call.trace
        if begun.span is not None:
            fault = code if code in tracer.SERVER_FAULTS else ""
            tracer.end(begun, {"rpc.response.status_code": code}, error=fault)
        slow = seconds > telemetry.slow and self.policy.kind in {Kind.READ, Kind.MUTATION}
        if code != "OK" or slow:
            level = logging.WARNING if slow or code in tracer.SERVER_FAULTS else logging.INFO
            found = logs.fields(code=code, seconds=round(seconds, 4))
            _LOG.log(level, "%s", message or code, extra=found)


def _let_go(error: BaseException) -> None:
    """Part an error that is done with from the frames it went through.

    A frame that keeps its own error in a variable is a cycle, and holds the context of the call.
    gRPC keeps the stream of a call open as long as there is its context: the collector would have
    to look before a hundred calls failed, or the connection refuses all that follow.
    """
    chained: BaseException | None = error
    while chained is not None:
        chained.__traceback__ = None
        chained = chained.__context__


def lacking(policy: MethodPolicy) -> Unimplemented:
    """Build the answer of a method that the contract has and the server lacks."""
    return Unimplemented(f"{policy.path} is not implemented", metadata={"method": policy.path})


def too_many(kind: Kind) -> ResourceExhausted:
    """Build the answer to a call beyond what its pool takes."""
    return ResourceExhausted(
        f"too many calls of the kind {kind.value} are under way",
        reason="TOO_MANY_REQUESTS",
        metadata={"kind": kind.value},
        retry_after=0.2,
    )


def shutting_down() -> Unavailable:
    """Build the answer to what a server that goes down cannot finish."""
    return Unavailable(
        "the server is going down; call again", reason="SHUTTING_DOWN", retry_after=0.5
    )


def serialized(response: Message | bytes) -> bytes:
    """Answer the bytes of a reply; what a servicer serialized already is sent as it is."""
    return response if isinstance(response, bytes) else response.SerializeToString()
