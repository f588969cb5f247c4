"""Whom a token of another issuer is about is what the directory says, and nothing else."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from stoa.authz.v1 import (
    decision_pb2,
    explanation_pb2,
    group_pb2,
    principal_pb2,
    service_principal_pb2,
    subscription_pb2,
    user_pb2,
)

from tests.oidc import OidcIssuer
from tests.wire.authz.installation import Installation, Stubs, World, refused

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"


class Trusting(NamedTuple):
    """An installation whose tenant `default` has two issuers of its own."""

    world: World
    first: OidcIssuer
    second: OidcIssuer

    def user(self, issuer: OidcIssuer, subject: str) -> str:
        made = self.world.owner.directory.CreateUser(
            user_pb2.CreateUserRequest(
                parent="tenants/default",
                user=user_pb2.User(
                    display_name="A user",
                    user_principal_name=f"{self.world.id('known')}@example.org",
                    external_identity=principal_pb2.ExternalIdentity(
                        issuer=issuer.url, subject=subject
                    ),
                ),
            )
        )
        return str(made.name)

    def stubs(self, issuer: OidcIssuer, **claims: Any) -> Stubs:
        found = self.world.installation
        return Stubs(found._plain, issuer.token(aud="authz.stoa.dev", **claims))


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusting]:
    issuers = [OidcIssuer(tmp_path_factory.mktemp("issuer")) for _ in range(2)]
    bundle = tmp_path_factory.mktemp("bundle") / "bundle.pem"
    bundle.write_bytes(b"".join(one.authority.read_bytes() for one in issuers))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(bundle))
        installation = Installation(
            tmp_path_factory.mktemp("authz"),
            trusted_issuers={one.url: f"default {one.url}/keys" for one in issuers},
        )
    yield Trusting(World(installation), *issuers)
    installation.close()
    for one in issuers:
        one.stop()


def subscriptions(stubs: Stubs) -> list[str]:
    request = subscription_pb2.ListSubscriptionsRequest(page_size=1000)
    return [one.name for one in stubs.directory.ListSubscriptions(request).subscriptions]


def test_a_token_is_the_principals_whose_external_identity_it_has(trusting: Trusting) -> None:
    world, subscription = trusting.world, trusting.world.subscription()
    ann = trusting.user(trusting.first, "auth0|ann")
    world.assign(world.group(ann), "Reader", subscription)
    assert subscriptions(trusting.stubs(trusting.first, sub="auth0|ann")) == [subscription]
    # The issuer's word for somebody else, another issuer's for her, and her id itself.
    for issuer, subject in (
        (trusting.first, "auth0|bob"),
        (trusting.first, "AUTH0|ANN"),
        (trusting.second, "auth0|ann"),
        (trusting.first, ann.rpartition("/")[2]),
    ):
        assert subscriptions(trusting.stubs(issuer, sub=subject)) == []


def test_two_issuers_may_call_two_people_the_same(trusting: Trusting) -> None:
    world = trusting.world
    found = {}
    for issuer in (trusting.first, trusting.second):
        subscription = world.subscription()
        world.assign(trusting.user(issuer, "42"), "Reader", subscription)
        found[issuer.url] = subscription
    for issuer in (trusting.first, trusting.second):
        assert subscriptions(trusting.stubs(issuer, sub="42")) == [found[issuer.url]]
    # And one issuer calls nobody else so.
    with refused(Code.ALREADY_EXISTS, "EXTERNAL_IDENTITY_TAKEN"):
        trusting.user(trusting.first, "42")


def test_no_issuer_makes_its_people_those_of_the_installation(trusting: Trusting) -> None:
    assert subscriptions(trusting.world.owner)
    assert subscriptions(trusting.stubs(trusting.first, sub="owner")) == []
    with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
        subscriptions(trusting.stubs(trusting.first, sub="owner", tid="other"))
    own = trusting.world.installation.config.token_issuer
    with refused(Code.UNAUTHENTICATED, "UNAUTHENTICATED"):
        subscriptions(trusting.stubs(trusting.first, sub="owner", iss=own))


def test_a_program_signs_in_as_well_and_a_disabled_one_is_nobody(trusting: Trusting) -> None:
    world, subscription = trusting.world, trusting.world.subscription()
    robot = world.owner.directory.CreateServicePrincipal(
        service_principal_pb2.CreateServicePrincipalRequest(
            parent="tenants/default",
            service_principal=service_principal_pb2.ServicePrincipal(
                display_name="A robot",
                external_identity=principal_pb2.ExternalIdentity(
                    issuer=trusting.second.url, subject="client@clients"
                ),
            ),
        )
    )
    world.assign(robot.name, "Reader", subscription)
    stubs = trusting.stubs(trusting.second, sub="client@clients")
    assert subscriptions(stubs) == [subscription]
    world.owner.directory.DeleteServicePrincipal(
        service_principal_pb2.DeleteServicePrincipalRequest(name=robot.name)
    )
    assert subscriptions(stubs) == []


def test_who_asks_why_is_named_as_the_directory_does(trusting: Trusting) -> None:
    eve = trusting.user(trusting.first, "eve")
    subscription = trusting.world.subscription()
    questions = trusting.stubs(trusting.first, sub="eve").questions
    item = decision_pb2.CheckItem(action=READ, resource=subscription)
    found = questions.Explain(explanation_pb2.ExplainRequest(item=item))
    assert found.subject.principal_id == eve.rpartition("/")[2]
    assert not found.decision.allowed


def test_groups_in_a_token_are_not_looked_at(trusting: Trusting) -> None:
    """Membership is the directory's, whatever an issuer says."""
    world, subscription = trusting.world, trusting.world.subscription()
    group = world.group()
    world.assign(group, "Reader", subscription)
    zoe = trusting.user(trusting.first, "zoe")
    said = {"groups": [group, group.rpartition("/")[2]], "roles": ["Owner"]}
    assert subscriptions(trusting.stubs(trusting.first, sub="zoe", **said)) == []
    world.owner.directory.AddGroupMembers(
        group_pb2.AddGroupMembersRequest(group=group, members=[zoe])
    )
    assert subscriptions(trusting.stubs(trusting.first, sub="zoe")) == [subscription]
