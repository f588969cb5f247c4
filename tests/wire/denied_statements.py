"""Counting what a refusal costs: one request for each method whose action is decided first."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import event
from sqlalchemy.engine import Engine
from stoa.type.v1 import method_policy_pb2

from services.kernel.rpc.resource_names import _field, _patterns

IDS: Final = {"subscription": "default", "tenant": "default", "version": "1.0.0"}


def guarded(services: list[str]) -> Mapping[str, MethodDescriptor]:
    """The methods whose action is decided at a name before they are served."""
    pool: Any = descriptor_pool.Default()
    found = {}
    for service in services:
        for method in pool.FindServiceByName(service).methods:
            policy = method.GetOptions().Extensions[method_policy_pb2.policy]
            if policy.rule == method_policy_pb2.ACCESS_RULE_ACTION and policy.scope_field:
                found[method.full_name] = method
    return dict(sorted(found.items()))


def request(method: MethodDescriptor, id_: str = "eastus", **ids: str) -> Message:
    """A request about a name of the kind that the method takes."""
    made = GetMessageClass(method.input_type)()
    path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
    patterns: Any = _patterns(_field(method.input_type, path), method.input_type.file) or ()
    *above, last = path.split(".")
    holder: Any = made
    for one in above:
        holder = getattr(holder, one)
    # Of the scopes of something, one that is not the installation itself.
    owned = (one for one in patterns if "{subscription}" in one or "{tenant}" in one)
    pattern = next(owned, patterns[0])
    known = IDS | ids
    setattr(holder, last, re.sub(r"\{(\w+)\}", lambda one: known.get(one[1], id_), pattern))
    return made


def send(
    channel: grpc.Channel, method: MethodDescriptor, sent: Message, token: str
) -> grpc.StatusCode:
    path = f"/{method.containing_service.full_name}/{method.name}"
    serialize = type(sent).SerializeToString
    more: dict[str, Any] = {"timeout": 20, "metadata": [("authorization", f"Bearer {token}")]}
    try:
        if method.client_streaming:
            channel.stream_unary(path, request_serializer=serialize)(iter([sent]), **more)
        elif method.server_streaming:
            next(channel.unary_stream(path, request_serializer=serialize)(sent, **more), None)
        else:
            channel.unary_unary(path, request_serializer=serialize)(sent, **more)
    except grpc.RpcError as error:
        found: Any = error
        code: grpc.StatusCode = found.code()
        return code
    return grpc.StatusCode.OK


@contextmanager
def watched(database: str) -> Iterator[list[str]]:
    """The statements of a database of that name, by all engines that are made in the block."""
    found: list[str] = []

    def record(connection: Any, _: object, statement: str, *__: object) -> None:
        if str(connection.engine.url.database).endswith(database):
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", record)
