"""How every servicer writes: once, at the head of the log, with the token that stands for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import Message

from services.authz.access import HeadAccessControl
from services.authz.ports.policy import Command, Facts, PolicyStore, Unit
from services.authz.ports.replicas import Lagging, ReplicaStore
from services.kernel.names import ROOT
from services.kernel.paging import PageTokens
from services.kernel.request_digest import request_digest
from services.kernel.rpc.access import Access
from services.kernel.rpc.call import Call
from services.kernel.rpc.method_policy import Rule
from services.policy.conditions import Attributes
from services.policy.consistency import LogPosition
from services.policy.index import PolicyIndex

LAGGING: Final = "x-lagging-replicas"
# How long a write waits for the replicas, in seconds: one that takes longer is not live.
PATIENCE: Final = 5.0
_LOOK_EVERY: Final = 0.02

# What conditions may look at, of an assignment that is to be made or is there.
About = Callable[[Facts, PolicyIndex], Attributes | None]


@dataclass(frozen=True, slots=True)
class Context:
    """What the servicers share."""

    store: PolicyStore
    control: HeadAccessControl
    replicas: ReplicaStore
    tokens: PageTokens
    current: Callable[[], PolicyIndex]
    now: Callable[[], datetime]

    def caller_name(self, call: Call) -> str:
        """Answer the name of the calling principal, empty for a service."""
        if call.caller.is_workload:
            return ""
        principal_key = self.control.principal_of(call.caller, self.current())
        found = self.store.read(lambda facts: facts.principal(principal_key))
        return found.name if found is not None else ""

    def write(
        self,
        call: Call,
        request: Message,
        work: Callable[[Unit, Access], Message],
        *,
        resource: str = "",
        validate_only: bool = False,
        wait: bool = False,
        about: About | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Do a write and answer its reply, serialized; `details` go into the audit log.

        The right to it is judged again at the head of the log, which `work` finds locked: of an
        administrator's write and the loss of their right one comes first, whatever the timing.
        A right that carries a condition is judged here alone, by what `about` answers.
        """
        reply, position = self.write_once(
            call,
            request,
            work,
            resource=resource,
            validate_only=validate_only,
            about=about,
            details=details,
        )
        if not validate_only and wait:
            lagging = self.lagging_after(call, position)
            if lagging:
                call.send_metadata(LAGGING, ",".join(one.replica_id for one in lagging))
        return reply

    def write_once(
        self,
        call: Call,
        request: Message,
        work: Callable[[Unit, Access], Message],
        *,
        resource: str = "",
        principal: str | None = None,
        validate_only: bool = False,
        about: About | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> tuple[bytes, LogPosition]:
        """Do as `write`; answer the position too. `principal` is on whose behalf a service acts."""

        def checked(unit: Unit) -> Message:
            if call.caller.is_workload:
                return work(unit, call.access)
            access = self.control.at(call.caller, unit.index)
            if call.policy.rule is Rule.ACTION:
                scope = call.scope.text if call.scope is not None else ROOT
                attributes = None if about is None else about(unit.facts, unit.index)
                access.require(call.policy.action, scope, attributes)
            return work(unit, access)

        command = self.command(call, request, resource)
        if principal is not None:
            command = replace(command, principal=principal)
        if details:
            command = replace(command, details=details)
        written = self.store.write(
            command,
            checked,
            lambda message: message.SerializeToString(),
            validate_only=validate_only,
        )
        if not validate_only:
            call.send_consistency_token(self.store.token(written.position))
        return written.reply, written.position

    def command(self, call: Call, request: Message, resource: str = "") -> Command:
        """Describe the call that writes."""
        body = type(request).FromString(request.SerializeToString())
        request_id = getattr(request, "request_id", "")
        if request_id:
            body.ClearField("request_id")
        names = {}
        if call.scope is not None and call.policy.scope is not None:
            names[call.policy.scope.path] = call.scope.text
            *above, last = call.policy.scope.path.split(".")
            holder: Message = body
            for segment in above:
                holder = getattr(holder, segment)
            holder.ClearField(last)
        method = call.policy.path[1:]
        scope = call.scope.text if call.scope is not None else ROOT
        return Command(
            method=method,
            resource=resource or scope,
            caller_id=call.caller.id,
            principal=self.caller_name(call),
            workload=call.caller.workload or "authz",
            action=call.policy.action or next(iter(call.policy.further_actions), ""),
            request_id=request_id,
            digest=request_digest(method, names, body.SerializeToString(deterministic=True)),
            trace_parent=call.trace.context.header(),
        )

    def lagging_after(self, call: Call, position: LogPosition) -> Sequence[Lagging]:
        """Wait until every live replica has applied a position; answer those that have not."""
        until = min(time.monotonic() + PATIENCE, call.deadline)
        lagging = self.replicas.lagging(position)
        while lagging and time.monotonic() < until and call.is_active():
            if call.stopping.wait(_LOOK_EVERY):
                break
            lagging = self.replicas.lagging(position)
        return lagging
