"""The access rule of every method, read from the contract when a server starts."""

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from stoa.type.v1 import method_policy_pb2 as pb

from services.kernel.rpc.access import Kind
from services.kernel.rpc.resource_names import ScopeReader, UnknownScope

OURS: Final = "stoa."


class Rule(enum.Enum):
    """How access to a method is decided (`stoa.type.v1.AccessRule`)."""

    ACTION = "action"
    OWN = "own"
    BY_NAME = "by_name"
    WORKLOAD = "workload"


@dataclass(frozen=True, slots=True)
class MethodPolicy:
    """The access rule of one method; `path` is `/package.Service/Method`."""

    path: str
    descriptor: MethodDescriptor
    rule: Rule
    kind: Kind
    action: str = ""
    further_actions: tuple[str, ...] = ()
    workloads: frozenset[str] = frozenset()
    scope: ScopeReader | None = None


class MissingPolicy(Exception):
    """The server must not start: `problems` has a line for each method at fault."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: Final = tuple(problems)
        super().__init__("methods without a usable access rule:\n" + "\n".join(self.problems))


# What is not ours cannot carry our option. Everything else that is registered must.
_FOREIGN: Final[Mapping[str, tuple[Rule, Kind]]] = {
    "/google.longrunning.Operations/ListOperations": (Rule.OWN, Kind.READ),
    "/google.longrunning.Operations/GetOperation": (Rule.OWN, Kind.READ),
    "/google.longrunning.Operations/DeleteOperation": (Rule.OWN, Kind.MUTATION),
    "/google.longrunning.Operations/CancelOperation": (Rule.OWN, Kind.MUTATION),
    "/google.longrunning.Operations/WaitOperation": (Rule.OWN, Kind.WAIT),
}

_RULES: Final = {
    pb.ACCESS_RULE_ACTION: Rule.ACTION,
    pb.ACCESS_RULE_OWN: Rule.OWN,
    pb.ACCESS_RULE_BY_NAME: Rule.BY_NAME,
    pb.ACCESS_RULE_WORKLOAD: Rule.WORKLOAD,
}
_KINDS: Final = {
    pb.METHOD_KIND_READ: Kind.READ,
    pb.METHOD_KIND_MUTATION: Kind.MUTATION,
    pb.METHOD_KIND_WAIT: Kind.WAIT,
    pb.METHOD_KIND_STREAM: Kind.STREAM,
}


def policies(services: Iterable[str], pool: DescriptorPool) -> dict[str, MethodPolicy]:
    """Read the rule of every method of `services`, by path.

    Raises:
        MissingPolicy: names every method without a rule, or with one that contradicts itself.
        KeyError: the pool has no such service.
    """
    found: dict[str, MethodPolicy] = {}
    problems: list[str] = []
    for name in services:
        for method in methods_of(pool.FindServiceByName(name)):
            path = path_of(method)
            try:
                found[path] = _policy(path, method)
            except (_Inconsistent, UnknownScope) as error:
                problems.append(f"{path}: {error}")
    if problems:
        raise MissingPolicy(problems)
    return found


def methods_of(service: ServiceDescriptor) -> Iterator[MethodDescriptor]:
    """Answer the methods of a service in the order of the contract."""
    yield from service.methods


def path_of(method: MethodDescriptor) -> str:
    """Answer the path by which gRPC calls a method."""
    return f"/{method.containing_service.full_name}/{method.name}"


class _Inconsistent(ValueError):
    """The rule is absent or contradicts itself or the method."""


def _policy(path: str, method: MethodDescriptor) -> MethodPolicy:
    if path in _FOREIGN:
        rule, kind = _FOREIGN[path]
        return MethodPolicy(path, method, rule, kind)
    options = method.GetOptions()
    if not path.startswith(f"/{OURS}") or not options.HasExtension(pb.policy):
        raise _Inconsistent("has no (stoa.type.v1.policy)")
    sent = options.Extensions[pb.policy]
    _check(sent, method)
    scope = None
    if sent.scope_field:
        # `-` reads across a collection (AIP-159); nothing but a list knows what to do with it.
        lists = sent.kind == pb.METHOD_KIND_READ and method.name.startswith(("List", "Search"))
        scope = ScopeReader(method.input_type, sent.scope_field, wildcards=lists)
    return MethodPolicy(
        path,
        method,
        _RULES[sent.rule],
        _KINDS[sent.kind],
        action=sent.action,
        further_actions=tuple(sent.further_actions),
        workloads=frozenset(sent.workloads),
        scope=scope,
    )


def _check(sent: pb.MethodPolicy, method: MethodDescriptor) -> None:
    if sent.rule not in _RULES:
        raise _Inconsistent("has no rule")
    if sent.kind not in _KINDS:
        raise _Inconsistent("has no kind")
    if bool(sent.action) != (sent.rule == pb.ACCESS_RULE_ACTION):
        raise _Inconsistent("`action` is set exactly where the rule is ACCESS_RULE_ACTION")
    if sent.rule == pb.ACCESS_RULE_WORKLOAD and not sent.workloads:
        raise _Inconsistent("ACCESS_RULE_WORKLOAD names its callers in `workloads`")
    if sent.rule == pb.ACCESS_RULE_BY_NAME and not sent.further_actions:
        raise _Inconsistent("ACCESS_RULE_BY_NAME names its actions in `further_actions`")
    if method.server_streaming and sent.kind != pb.METHOD_KIND_STREAM:
        raise _Inconsistent("answers a stream, so its kind is METHOD_KIND_STREAM")
    streams = method.client_streaming or method.server_streaming
    if sent.kind == pb.METHOD_KIND_STREAM and not streams:
        raise _Inconsistent("is unary, so its kind is not METHOD_KIND_STREAM")
