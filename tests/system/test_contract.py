"""Every method of the contract is called: it is built, and never breaks."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest
import stoa
from google.protobuf import descriptor, descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stoa.type.v1 import method_policy_pb2

from services.kernel.rpc.resource_names import _field, _patterns
from tests.system.errors import Refusal
from tests.system.installation import Installation

SERVICES: Final = ("catalog", "replication", "authz")
# Named with the owner's subscription these would take it from the tests that follow.
DESTRUCTIVE: Final = {"DisableSubscription"}
# What says that the server, not the request, is wrong.
DEFECTS: Final = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}


def methods(service: str) -> Iterator[descriptor.MethodDescriptor]:
    """The methods of a service that clients may call, in the order of their names."""
    files = sorted(Path(next(iter(stoa.__path__)), service, "v1").glob("*_service_pb2.py"))
    assert files
    for file in files:
        found = importlib.import_module(f"stoa.{service}.v1.{file.stem}").DESCRIPTOR
        for _, proto in sorted(found.services_by_name.items()):
            for method in proto.methods:
                policy = method.GetOptions().Extensions[method_policy_pb2.policy]
                if policy.rule != method_policy_pb2.ACCESS_RULE_WORKLOAD:
                    yield method


def named(method: descriptor.MethodDescriptor) -> Message:
    """A request that names something plausible which does not exist, and says nothing else."""
    request = GetMessageClass(method.input_type)()
    path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
    if path:
        found = _patterns(_field(method.input_type, path), method.input_type.file) or ["absent/{x}"]
        ids = {"subscription": "default", "tenant": "default", "version": "1.0.0"}
        name = re.sub(r"\{(\w+)\}", lambda one: ids.get(one[1], "absent1"), found[0]) or "/"
        *above, last = path.split(".")
        holder: object = request
        for segment in above:
            holder = getattr(holder, segment)
        setattr(holder, last, name)
    return request


def call(
    channel: grpc.Channel, method: descriptor.MethodDescriptor, request: Message
) -> Refusal | None:
    """Call a method; None where that succeeds."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    send = type(request).SerializeToString
    try:
        if method.client_streaming:
            channel.stream_unary(path, request_serializer=send)(iter([request]), timeout=20)
        elif method.server_streaming:
            next(channel.unary_stream(path, request_serializer=send)(request, timeout=20), None)
        else:
            channel.unary_unary(path, request_serializer=send)(request, timeout=20)
    except grpc.RpcError as error:
        return Refusal(error)
    return None


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_is_built_and_none_breaks(installation: Installation, service: str) -> None:
    channel = installation.client().channel(service)
    unbuilt, broken = set(), []
    for method in methods(service):
        name = f"{method.containing_service.full_name}.{method.name}"
        requests = [GetMessageClass(method.input_type)()]
        if method.name not in DESTRUCTIVE:
            requests.append(named(method))
        for request in requests:
            refused = call(channel, method, request)
            if refused is None:
                continue
            if refused.code in DEFECTS or not refused.details:
                broken.append(f"{name}: {refused.code.name} {refused.message} {refused.details}")
            if refused.code == grpc.StatusCode.UNIMPLEMENTED:
                unbuilt.add(name)
    assert broken == []
    assert unbuilt == set()


def test_no_method_is_without_an_access_rule() -> None:
    pool = descriptor_pool.Default()
    assert pool.FindExtensionByName("stoa.type.v1.policy") is not None
    for service in SERVICES:
        for method in methods(service):
            policy = method.GetOptions().Extensions[method_policy_pb2.policy]
            assert policy.rule != method_policy_pb2.ACCESS_RULE_UNSPECIFIED, method.full_name
            assert policy.kind != method_policy_pb2.METHOD_KIND_UNSPECIFIED, method.full_name
