"""Threat T6: every id that one tenant was told, sent by another one in every field."""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stoa.authz.v1 import directory_service_pb2_grpc, subscription_pb2, tenant_pb2, user_pb2

from tests.system.errors import Refusal
from tests.system.installation import SUBSCRIPTION, TENANT, Client, Installation
from tests.system.publishing import Shop, keep_token, make_group, make_shop, unique
from tests.system.test_contract import DEFECTS, SERVICES, methods
from tests.system.victims import Victim

pytestmark = pytest.mark.timeout(300)

# How many of the ids are sent in one field; all of them are sent in some.
TRIED: Final = 6
# What these answer follows the bytes that are stored, by whomever.
_COUNTING: Final = {"GetUsage", "GetRegion"}
# What stops or ends what the thief has, and comes last.
_ENDING: Final = re.compile(r"Delete|Disable|Remove|Reset|Deactivate|Move|UpdateSubscription")


@dataclass(frozen=True)
class Thief:
    """Somebody who owns a tenant with a shop of its own."""

    client: Client
    tenant: str
    subscription: str
    shop: Shop


@pytest.fixture(scope="module")
def thief(installation: Installation) -> Thief:
    tenant, user = unique("thieves"), unique("mallory")
    directory = directory_service_pb2_grpc.DirectoryServiceStub
    _, call = (
        installation.client()
        .of(directory)
        .CreateTenant.with_call(
            tenant_pb2.CreateTenantRequest(
                tenant_id=tenant,
                tenant=tenant_pb2.Tenant(display_name="Thieves"),
                initial_owner_id=user,
                initial_owner=user_pb2.User(
                    display_name="Mallory", user_principal_name=f"{user}@example.org"
                ),
            )
        )
    )
    keep_token(installation, call)
    client = installation.client(token=installation.token(user, tenant))
    made, call = client.of(directory).CreateSubscription.with_call(
        subscription_pb2.CreateSubscriptionRequest(
            subscription_id=unique("loot"),
            subscription=subscription_pb2.Subscription(
                tenant=f"tenants/{tenant}", display_name="Loot"
            ),
        )
    )
    keep_token(installation, call)
    shop = make_shop(client, group=make_group(client, made.name))
    return Thief(client, f"tenants/{tenant}", made.name, shop)


def ids(victim: Victim) -> tuple[list[str], set[str]]:
    """What the victim was told: names of all kinds and opaque texts to send, and others to miss.

    What was sent may be told again, to whoever sent it; what was never sent shows a leak.
    """
    loot = victim.owner.loot
    names = [one for found in loot.names.values() for one in found[:3]]
    named = {part for found in loot.names.values() for name in found for part in name.split("/")}
    asked = "".join(str(seed) for kept in loot.seeds.values() for seed in kept)
    opaque = sorted(one for one in loot.secrets - named if one.strip('"') not in asked)
    sent = random.Random(6).sample(opaque, len(opaque) // 2)
    return [*names, *sent[:120]], set(opaque) - set(sent)


def owned(victim: Victim, thief: Thief, seed: Message) -> Any:
    """A request of the victim that is about what is the thief's, as far as they have such."""
    text = text_format.MessageToString(seed, as_utf8=True)
    for theirs, mine in (
        (victim.private.definition, thief.shop.definition),
        (victim.private.gallery, thief.shop.gallery),
        (victim.private.group, thief.shop.group),
        (SUBSCRIPTION, thief.subscription),
        (TENANT, thief.tenant),
    ):
        text = re.sub(re.escape(theirs) + r"(?![\w-])", mine, text)
    return text_format.Parse(text, type(seed)())


def fields(message: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """Every field with text of a message and of those in it, set or not, as the way to it."""
    for field in message.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING:
            yield (*above, field)
        elif field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        elif field.is_repeated:
            for number, one in enumerate(getattr(message, field.name)[:1]):
                yield from fields(one, *above, field, number)
        elif message.HasField(field.name):
            yield from fields(getattr(message, field.name), *above, field)


def with_id(request: Any, way: tuple[Any, ...], stolen: str) -> Any:
    found = type(request)()
    found.CopyFrom(request)
    holder: Any = found
    *above, last = way
    for one in above:
        holder = holder[one] if isinstance(one, int) else getattr(holder, one.name)
    if last.is_repeated:
        del getattr(holder, last.name)[:]
        getattr(holder, last.name).append(stolen)
    else:
        setattr(holder, last.name, stolen)
    return found


def answer(client: Client, service: str, method: MethodDescriptor, request: Any) -> Any:
    """What a call answers: a message, or a refusal."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    how: dict[str, Any] = {
        "request_serializer": type(request).SerializeToString,
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }
    channel = client.channel(service)
    try:
        if method.client_streaming:
            return channel.stream_unary(path, **how)(iter([request]), timeout=20)
        if method.server_streaming:
            # What has not begun by then is a wait for what is not there.
            return next(channel.unary_stream(path, **how)(request, timeout=5), None)
        return channel.unary_unary(path, **how)(request, timeout=20)
    except grpc.RpcError as error:
        return Refusal(error)


def seeds(victim: Victim) -> list[tuple[str, MethodDescriptor, Message]]:
    found = [
        (service, method, one)
        for service in SERVICES
        for method in methods(service)
        for one in victim.owner.loot.seeds.get(method.input_type.full_name, ())[:1]
    ]
    return sorted(found, key=lambda one: bool(_ENDING.search(one[1].name)))


def state(owner: Client, victim: Victim) -> dict[str, str]:
    """All that the victim has, as the methods that get one thing answer it."""
    found = {}
    kept = victim.owner.loot.seeds
    for service in SERVICES:
        for method in methods(service):
            if method.name.startswith("Get") and method.name not in _COUNTING:
                for request in kept.get(method.input_type.full_name, ()):
                    name = str(request)
                    got = answer(owner, service, method, request)
                    found[name] = got.code.name if isinstance(got, Refusal) else str(got)
    return found


def test_t6_no_id_of_somebody_else_opens_or_changes_anything_in_any_field(
    installation: Installation, sown: Victim, thief: Thief
) -> None:
    owner = installation.client()
    before, (stolen, missed) = state(owner, sown), ids(sown)
    assert len(missed) >= 50
    # Whoever may see it is told of it.
    assert any(one.strip('"') in str(before) for one in missed)
    turn = itertools.cycle(random.Random(32).sample(stolen, len(stolen)))
    presented, methods_tried, admitted = set(), set(), 0
    for service, method, seed in seeds(sown):
        request = owned(sown, thief, seed)
        for way in fields(request):
            for _ in range(TRIED):
                one = next(turn)
                sent = with_id(request, way, one)
                got = answer(thief.client, service, method, sent)
                presented.add(one)
                methods_tried.add(method.full_name)
                what = f"{method.full_name} {way[-1].full_name} {one}"
                if isinstance(got, Refusal):
                    assert got.code not in DEFECTS, what
                    admitted += got.code is not grpc.StatusCode.PERMISSION_DENIED
                    said = f"{got.message} {got.details}"
                else:
                    admitted += 1
                    said = str(got)
                assert {secret for secret in missed if secret.strip('"') in said} == set(), what
    assert presented == set(stolen)
    assert len(methods_tried) >= 100
    # Much was decided about what is the thief's own, so that the id was looked at.
    assert admitted >= 500, admitted
    assert state(owner, sown) == before
