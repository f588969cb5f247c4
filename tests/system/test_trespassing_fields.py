"""Names of somebody else in every field of requests that are otherwise one's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stoa.type.v1 import method_policy_pb2

from tests.system.installation import SUBSCRIPTION, Client, Installation
from tests.system.publishing import (
    Shop,
    grant,
    make_group,
    make_shop,
    make_subscription,
    make_user,
    principal,
)
from tests.system.test_contract import SERVICES, call, methods
from tests.system.victims import Victim

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Mallory:
    """Somebody who owns a subscription with a shop, and nothing in that of the victim."""

    client: Client
    shop: Shop


@pytest.fixture(scope="module")
def mallory(installation: Installation) -> Mallory:
    subscription = make_subscription(installation)
    user = make_user(installation, "mallory")
    grant(installation, principal(user), "Owner", subscription)
    client = installation.client(user)
    return Mallory(client, make_shop(client, group=make_group(client, subscription)))


def absent(name: str) -> str:
    """A name of the same length and kind that nothing has."""
    if "/versions/" in name:
        return name.rpartition("/")[0] + "/9.9.9"
    return name[:-1] + ("0" if name[-1] != "0" else "1")


def places(message: Any, path: str = "") -> Iterator[tuple[str, Any, str, int]]:
    """Every text of a message that names something of the victim: its path and where it is."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}" if path else field.name
        if field.type == field.TYPE_STRING and not field.is_repeated:
            if value.startswith(f"{SUBSCRIPTION}/"):
                yield here, message, field.name, -1
        elif field.type == field.TYPE_STRING:
            for number, one in enumerate(value):
                if one.startswith(f"{SUBSCRIPTION}/"):
                    yield f"{here}[{number}]", message, field.name, number
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for one in value if field.is_repeated else (value,):
                yield from places(one, here)


def put(message: Any, name: str, number: int, value: str) -> None:
    if number < 0:
        setattr(message, name, value)
    else:
        getattr(message, name)[number] = value


def own(method: MethodDescriptor, request: Any, shop: Shop) -> str:
    """Have a request of the victim be about what is Mallory's; answer the path of that."""
    path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
    *above, last = path.split(".")
    holder: Any = request
    for one in above:
        holder = getattr(holder, one)
    found = getattr(holder, last, "")
    mine = {4: shop.group, 6: shop.gallery, 8: shop.definition}.get(len(found.split("/")), "")
    if mine and found.startswith(f"{SUBSCRIPTION}/resourceGroups/"):
        setattr(holder, last, mine)
        return str(path)
    return ""


def asked(sown: Victim, mallory: Mallory) -> Iterator[tuple[str, MethodDescriptor, Message, str]]:
    for service in SERVICES:
        for method in methods(service):
            for seed in sown.owner.loot.seeds.get(method.input_type.full_name, ()):
                request = GetMessageClass(method.input_type)()
                request.CopyFrom(seed)
                if path := own(method, request, mallory.shop):
                    yield service, method, request, path


def test_no_field_tells_whether_what_it_names_exists(sown: Victim, mallory: Mallory) -> None:
    compared = set()
    for service, method, request, scope in asked(sown, mallory):
        channel = mallory.client.channel(service)
        for path, holder, name, number in list(places(request)):
            if path == scope:
                continue
            told = []
            value = getattr(holder, name)
            real = value if number < 0 else value[number]
            never = absent(real)
            for one in (real, never):
                put(holder, name, number, one)
                refused = call(channel, method, request)
                assert refused is not None, f"{method.full_name} takes {path} of another"
                said = (refused.message, str(refused.info), str(refused.fields))
                # The first that is refused may be another field's, of the same name.
                texts = (one.replace(real, "NAME").replace(never, "NAME") for one in said)
                told.append((refused.code, *texts))
            put(holder, name, number, real)
            assert told[0] == told[1], f"{method.full_name} {path}"
            compared.add((method.name, path))
    assert len(compared) >= 20, sorted(compared)
