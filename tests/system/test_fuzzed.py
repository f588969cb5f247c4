"""Whatever is sent to any method, by whomever: a status that says why, and nothing that is secret.

`STOA_FUZZ_FACTOR` multiplies the number of requests, `STOA_FUZZ_SEED` sends other ones.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from stoa.type.v1 import method_policy_pb2

from tests.system import seeding
from tests.system.errors import Refusal
from tests.system.fuzzing import Fuzzer
from tests.system.installation import SUBSCRIPTION, TENANT, Client, Installation, installed
from tests.system.invariants import assert_at_rest
from tests.system.publishing import PLACES, make_regions
from tests.system.test_contract import DEFECTS, SERVICES, methods
from tests.system.victims import Loot, Victim, make_victim

FACTOR: Final = int(os.environ.get("STOA_FUZZ_FACTOR", "1"))
pytestmark = pytest.mark.timeout(600 + 300 * FACTOR)

REQUESTS: Final = 20 * FACTOR
SEED: Final = int(os.environ.get("STOA_FUZZ_SEED", "1"))
# Longer than any answer takes.
_PATIENCE: Final = 40.0
# A watch that was resumed says nothing before its first bookmark, which is not waited for.
_WATCHED: Final = 1.0
# What takes things or rights away comes last, so that there is something left to ask about.
_LAST: Final = ("CreateDeny", "Delete", "Disable", "UpdateRegion")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation of its own: there is not much left of it in the end."""
    stores = seeding.source_stores(tmp_path_factory.mktemp("vhds"))
    folder = tmp_path_factory.mktemp("fuzzed")
    with installed(folder, STOA_REPLICATION_SOURCE_STORES=stores) as found:
        make_regions(found)
        yield found


@pytest.fixture(scope="module")
def victim(target: Installation) -> Victim:
    found = make_victim(target)
    seeding.sow(found)
    return found


@pytest.fixture(scope="module")
def loot(victim: Victim) -> Loot:
    found = victim.owner.loot
    found.names["stoa.dev/Subscription"].append(SUBSCRIPTION)
    found.names["stoa.dev/Tenant"].append(TENANT)
    found.names["stoa.dev/Region"] = [f"regions/{place.id}" for place in PLACES]
    return found


def every_method(service: str) -> list[MethodDescriptor]:
    found = list(methods(service))
    if service != "authz":
        found += Default().FindServiceByName("google.longrunning.Operations").methods
    return found


def destroys(method: MethodDescriptor) -> bool:
    return bool(method.name.startswith(_LAST))


def send(channel: Any, method: MethodDescriptor, raw: bytes) -> bytes | Refusal:
    """Send bytes to a method; answer the first reply, or why there is none."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.client_streaming:
            found: bytes = channel.stream_unary(path)(iter([raw]), timeout=_PATIENCE)
        elif method.server_streaming:
            patience = _WATCHED if method.name.startswith("Watch") else _PATIENCE
            stream: Any = channel.unary_stream(path)(raw, timeout=patience)
            found = next(stream, b"")
            stream.cancel()
        else:
            found = channel.unary_unary(path)(raw, timeout=_PATIENCE)
    except grpc.RpcError as error:
        refused = Refusal(error)
        waited = refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
        return b"" if waited and method.name.startswith("Watch") else refused
    return found


def defect(service: str, reply: bytes | Refusal) -> str:
    """What is wrong with an answer, whoever asked; empty where nothing is."""
    if isinstance(reply, bytes):
        return ""
    if reply.code in DEFECTS or reply.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"{reply.code.name}: {reply.message}"
    if not reply.details:
        return f"{reply.code.name} without details: {reply.message}"
    info = reply.info
    if info.domain != f"{service}.stoa.dev" or not info.reason:
        return f"{reply.code.name} with {info}"
    return ""


def leak(secrets: set[str], sent: bytes, reply: bytes | Refusal) -> str:
    """What of the owner's secrets an answer tells to somebody who did not say it first."""
    if isinstance(reply, Refusal):
        said = reply.message + "".join(map(str, reply.details))
    else:
        said = reply.decode("latin1")
    known = sent.decode("latin1").lower()
    said = said.lower()
    return ", ".join(one for one in secrets if one in said and one not in known)


def shown(method: MethodDescriptor, raw: bytes) -> str:
    try:
        return str(GetMessageClass(method.input_type).FromString(raw))[:2000]
    except DecodeError:
        return repr(raw[:500])


def processes(installation: Installation) -> dict[str, set[int]]:
    return {
        service: {pid for pid, _ in installation.parent(service).processes()}
        for service in SERVICES
    }


def is_serving(client: Client, service: str) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(client.channel(service))
    found = stub.Check(health_pb2.HealthCheckRequest(), timeout=_PATIENCE)
    return bool(found.status == health_pb2.HealthCheckResponse.SERVING)


def attack(
    target: Installation,
    loot: Loot,
    client: Client,
    service: str,
    methods: list[MethodDescriptor],
    *,
    seed: int,
    stranger: bool = False,
) -> list[str]:
    """Send everything to some methods of a service; answer what went wrong."""
    before, began = processes(target), time.monotonic()
    fuzzer = Fuzzer(seed, loot.names, loot.tokens, loot.seeds)
    secrets = {one.lower() for one in loot.secrets}
    found, codes = [], Counter[str]()
    for method in methods:
        policy = method.GetOptions().Extensions[method_policy_pb2.policy]
        changes = policy.kind == method_policy_pb2.METHOD_KIND_MUTATION
        for _ in range(REQUESTS // (2 if stranger else 1)):
            raw = fuzzer.request(method)
            reply = send(client.channel(service), method, raw)
            codes["OK" if isinstance(reply, bytes) else reply.code.name] += 1
            wrong = defect(service, reply)
            if stranger and not wrong:
                granted = changes and isinstance(reply, bytes)
                told = leak(secrets, raw, reply)
                wrong = "granted" if granted else f"told {told}" if told else ""
            if wrong:
                found.append(f"{method.full_name}: {wrong}\n{shown(method, raw)}")
        assert is_serving(client, service), method.full_name
    seconds = time.monotonic() - began
    print(f"{service}: {codes.total()} calls in {seconds:.0f} s: {dict(codes.most_common())}")
    assert processes(target) == before, "a process died of it"
    return found


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("who", ["somebody without a role", "somebody of another tenant"])
def test_a_caller_without_rights_gets_nothing_and_breaks_nothing(
    target: Installation, loot: Loot, service: str, who: str
) -> None:
    if who == "somebody without a role":
        client = target.client("nobody")
    else:
        client = target.client(token=target.token("mallory", "elsewhere"))
    seed = SEED + 1 + len(who)
    found = sorted(every_method(service), key=destroys)
    assert attack(target, loot, client, service, found, seed=seed, stranger=True) == []


def test_every_method_is_attacked_with_requests_that_nearly_succeed(victim: Victim) -> None:
    assert sorted(seeding.unsown(victim.owner)) == []


def test_what_was_used_as_it_is_meant_to_be_is_at_rest(target: Installation, loot: Loot) -> None:
    assert_at_rest(target)


# The last ones in this file: nothing is safe from an owner who sends everything to every method.
@pytest.mark.parametrize("service", ["replication", "catalog", "authz"])
@pytest.mark.parametrize("destructive", [False, True], ids=["and keeps it", "and destroys it"])
def test_an_owner_who_sends_anything_at_all_breaks_nothing(
    target: Installation, loot: Loot, service: str, destructive: bool
) -> None:
    found = [one for one in every_method(service) if destroys(one) == destructive]
    assert attack(target, loot, target.client(), service, found, seed=SEED) == []


def test_nothing_is_left_half_done_whatever_was_sent(target: Installation, loot: Loot) -> None:
    assert_at_rest(target)
