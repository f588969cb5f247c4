"""Threats T5 and T9: what a caller of another tenant is told about names that they guess."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stoa.authz.v1 import tenant_pb2, user_pb2
from stoa.authz.v1.directory_service_pb2_grpc import DirectoryServiceStub
from stoa.type.v1 import method_policy_pb2

from tests.system.errors import Refusal
from tests.system.installation import TENANT, Client, Installation, eventually
from tests.system.publishing import unique
from tests.system.seeding import _METHODS, _request, ask
from tests.system.test_contract import SERVICES, methods
from tests.system.victims import Victim

pytestmark = pytest.mark.timeout(300)

NAMED: Final = ("subscriptions/", "tenants/", "roleDefinitions/", "replications/")
# Of the requests of one method, which name things of different kinds.
SEEDS: Final = 3
ACTION: Final = re.compile(r"(Microsoft|Stoa)\.[\w/.]+")
# What everybody is answered about themselves, or a list of what they may see.
ANSWERED: Final = {
    "stoa.authz.v1.AuthorizationService.BatchCheck",
    "stoa.authz.v1.AuthorizationService.Check",
    "stoa.authz.v1.AuthorizationService.CheckAll",
    "stoa.authz.v1.AuthorizationService.ListAccessible",
    "stoa.authz.v1.AuthorizationService.SimulateChange",
    "stoa.authz.v1.AuthorizationService.TestActions",
    "stoa.authz.v1.DirectoryService.ListManagementGroups",
    "stoa.authz.v1.EligibleAssignmentService.ListEligibleAssignments",
    "stoa.authz.v1.RoleDefinitionService.ListRoleDefinitions",
    "stoa.catalog.v1.GalleryService.ListGalleries",
}
AT_NO_SCOPE: Final = {
    "stoa.authz.v1.AuthorizationService.Explain",
    "stoa.authz.v1.RoleDefinitionService.DeleteRoleDefinition",
    "stoa.authz.v1.RoleDefinitionService.GetRoleDefinition",
    "stoa.authz.v1.RoleDefinitionService.UpdateRoleDefinition",
}
# What names nothing, or regions, which are everybody's.
OF_NOTHING: Final = {
    "stoa.authz.v1.DirectoryService.CreateTenant",
    "stoa.authz.v1.DirectoryService.ListSubscriptions",
    "stoa.authz.v1.DirectoryService.ListTenants",
    "stoa.replication.v1.RegionService.CreateRegion",
    "stoa.replication.v1.RegionService.DeleteRegion",
    "stoa.replication.v1.RegionService.GetRegion",
    "stoa.replication.v1.RegionService.ListRegions",
    "stoa.replication.v1.RegionService.UpdateRegion",
}
# All that refusals say, with what was sent taken out, and the actions, which are the contract's.
BODIES: Final = Path(__file__).with_name("refusals.txt")
# Random in every answer, or about all of the policy and nobody's in particular.
_EACH_ITS_OWN: Final = {"decision_id", "evaluated_at", "revision", "epoch", "next_page_token"}


class Place(NamedTuple):
    """Where in a request something of the victim is named."""

    path: str
    holder: Any
    field: str
    number: int
    name: str

    def put(self, name: str) -> None:
        if self.number < 0:
            setattr(self.holder, self.field, name)
        else:
            getattr(self.holder, self.field)[self.number] = name


def places(message: Any, above: str = "") -> Iterator[Place]:
    """Every name of something of the victim in a message."""
    for field, value in message.ListFields():
        path = f"{above}{field.name}"
        values = value if field.is_repeated else (value,)
        if field.type == field.TYPE_STRING:
            for number, one in enumerate(values):
                if one.startswith(NAMED) or field.name == "decision_id":
                    at = number if field.is_repeated else -1
                    yield Place(path, message, field.name, at, one)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for one in values:
                yield from places(one, f"{path}.")


@dataclass(frozen=True)
class Stranger:
    """Somebody who owns a tenant of their own."""

    client: Client
    tenant: str


@pytest.fixture(scope="module")
def stranger(installation: Installation) -> Stranger:
    tenant, user = unique("other"), unique("mallory")
    installation.client().of(DirectoryServiceStub).CreateTenant(
        tenant_pb2.CreateTenantRequest(
            tenant_id=tenant,
            tenant=tenant_pb2.Tenant(display_name="Other"),
            initial_owner_id=user,
            initial_owner=user_pb2.User(
                display_name="Mallory", user_principal_name=f"{user}@example.org"
            ),
        )
    )
    token = installation.token(user, tenant)
    return Stranger(installation.client(token=token), f"tenants/{tenant}")


@dataclass(frozen=True)
class Question:
    """A request of the victim, and one place in it where something of theirs is named."""

    service: str
    method: MethodDescriptor
    request: Any
    place: Place

    def ask(self, client: Client, name: str) -> tuple[str, Message]:
        """Ask it about another name; answer the code, and all else that was said."""
        self.place.put(name)
        path = f"/{self.method.containing_service.full_name}/{self.method.name}"
        found: dict[str, Any] = {
            "request_serializer": type(self.request).SerializeToString,
            "response_deserializer": GetMessageClass(self.method.output_type).FromString,
        }
        channel: Any = client.channel(self.service)
        try:
            if self.method.client_streaming:
                return "OK", channel.stream_unary(path, **found)(iter([self.request]))
            if self.method.server_streaming:
                return "OK", next(channel.unary_stream(path, **found)(self.request))
            return "OK", channel.unary_unary(path, **found)(self.request)
        except grpc.RpcError as error:
            refused = Refusal(error)
            return refused.code.name, refused.status


def questions(victim: Victim) -> Iterator[Question]:
    """Requests that were kept, by each name in them that access is decided by."""
    for service in SERVICES:
        for method in methods(service):
            path = method.GetOptions().Extensions[method_policy_pb2.policy].scope_field
            for seed in victim.owner.loot.seeds.get(method.input_type.full_name, ())[:SEEDS]:
                request = GetMessageClass(method.input_type)()
                request.CopyFrom(seed)
                for place in places(request):
                    # Where no field is declared, what the call is about stands in any of them.
                    if path in {"", place.path}:
                        yield Question(service, method, request, place)


def decision(victim: Victim) -> Question:
    """Why something was refused to a user of the victim, which the victim may ask."""
    subject = {"tenant": TENANT, "principal_id": victim.name("User").rpartition("/")[2]}
    item = {"action": "Microsoft.Compute/galleries/delete", "resource": victim.private.gallery}
    made = ask(victim.owner, "AuthorizationService.Check", **item, subject=subject).decision
    assert not made.allowed
    service, method = _METHODS["AuthorizationService.Explain"]
    request: Any = _request(method, {"decision_id": made.decision_id})
    found = Question(service, method, request, next(places(request)))
    # It is written down beside the answer.
    eventually(lambda: found.ask(victim.owner, made.decision_id)[0] == "OK", "it is explained")
    return found


def absent(name: str) -> Iterator[str]:
    """Names of the same length and kind, which differ in one id and which nothing has."""
    parts = name.split("/")
    if len(parts) == 1:
        parts = ["decisions", name]
    for at in range(1, len(parts), 2):
        one = parts[at]
        if parts[at - 1] in {"locations", "usages"} or one == "-":
            # They are everybody's, so whether there is one is no secret.
            continue
        other = "9.9.9" if parts[at - 1] == "versions" else one[:-1] + "01"[one[-1] == "0"]
        yield "/".join([*parts[:at], other, *parts[at + 1 :]]).removeprefix("decisions/")


def cleared(message: Any) -> None:
    """Take out of an answer what is random in each."""
    for field, value in message.ListFields():
        if field.name in _EACH_ITS_OWN:
            message.ClearField(field.name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for one in value if field.is_repeated else (value,):
                cleared(one)


def strings(message: Any) -> Iterator[str]:
    """Every text in a message, however deep."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from (str(one) for pair in value.items() for one in pair)
        elif field.type == field.TYPE_STRING:
            yield from value if field.is_repeated else (value,)
        elif field.message_type is not None:
            for one in value if field.is_repeated else (value,):
                yield from strings(one)


@dataclass(frozen=True)
class Answer:
    """What was said about one name, and what the caller had said."""

    method: str
    place: str
    name: str
    code: str
    text: str
    size: int
    supplied: frozenset[str]

    @property
    def body(self) -> str:
        """What was said, less what the caller had said and what stands in the contract."""
        found = ACTION.sub("ACTION", self.text)
        for one in self.supplied:
            for quote in ('"', "\\'"):
                found = found.replace(f"{quote}{one}{quote}", f"{quote}NAME{quote}")
        return found.strip()


def asked(question: Question, client: Client, name: str) -> Answer:
    code, answer = question.ask(client, name)
    cleared(answer)
    return Answer(
        question.method.full_name,
        question.place.path,
        name,
        code,
        text_format.MessageToString(answer).replace(name, "NAME"),
        answer.ByteSize(),
        frozenset(strings(question.request)),
    )


@pytest.fixture(scope="module")
def answers(sown: Victim, stranger: Stranger) -> list[tuple[Answer, Answer]]:
    """What the stranger is told of each name, and of names beside it that nothing has."""
    found = []
    for question in (*questions(sown), decision(sown)):
        name = question.place.name
        there = asked(question, stranger.client, name)
        found += [(there, asked(question, stranger.client, other)) for other in absent(name)]
        question.place.put(name)
    return found


def test_t5_what_is_of_another_tenant_and_what_is_not_there_are_one_answer(
    answers: list[tuple[Answer, Answer]],
) -> None:
    for there, absent in answers:
        what = f"{there.method} {there.place} of {there.name} and {absent.name}"
        assert (there.code, there.text) == (absent.code, absent.text), what
        assert there.size == absent.size, what
        if there.code == "OK":
            assert there.method in ANSWERED, what
    for there, _ in answers:
        if there.method not in ANSWERED:
            # What lies at no scope has no other answer; what is there is hidden by it all the same.
            hidden = "NOT_FOUND" if there.method in AT_NO_SCOPE else "PERMISSION_DENIED"
            assert there.code == hidden, there
    # Every method is among them whose request can name something.
    every = {method.full_name for service in SERVICES for method in methods(service)}
    assert every - {there.method for there, _ in answers} == OF_NOTHING


def test_t9_a_refusal_holds_nothing_that_the_caller_did_not_say(
    answers: list[tuple[Answer, Answer]], sown: Victim
) -> None:
    refused = [there for there, _ in answers if there.code not in {"OK", "UNIMPLEMENTED"}]
    for one in refused:
        said = " ".join((one.name, *one.supplied))
        told = {secret for secret in sown.owner.loot.secrets if secret in one.text}
        assert {secret for secret in told if secret not in said} == set(), one.method
    bodies = {one.body for one in refused}
    assert sorted(bodies) == BODIES.read_text().strip().split("\n\n")
