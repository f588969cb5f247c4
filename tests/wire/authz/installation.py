"""A real authz service in this process, and clients of it."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from stoa.authz.v1 import (
    audit_service_pb2_grpc,
    authorization_service_pb2_grpc,
    deny_assignment_service_pb2_grpc,
    directory_service_pb2_grpc,
    eligible_assignment_service_pb2_grpc,
    group_pb2,
    policy_feed_service_pb2_grpc,
    role_assignment_pb2,
    role_assignment_service_pb2,
    role_assignment_service_pb2_grpc,
    role_definition_service_pb2_grpc,
    scope_service_pb2_grpc,
    service_principal_pb2,
    sharing_service_pb2_grpc,
    subscription_pb2,
    user_pb2,
)

from cli.installation.identity import make_token
from cli.installation.layout import Layout
from cli.installation.writing import write
from services.authz.bootstrap.feeding import build_feed
from services.authz.bootstrap.program import prepare
from services.authz.bootstrap.serving import build_server
from services.authz.bootstrap.stores import stores_of
from services.authz.config import Config
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.serving import open_users
from services.policy.builtin_roles import CONTRIBUTOR, OWNER, READER

ANY_PORT = "127.0.0.1:0"
ROLES = {one.display_name: f"roleDefinitions/{one.id}" for one in (OWNER, READER, CONTRIBUTOR)}
_numbers = itertools.count(1)


class Stubs:
    """Every service of authz on one channel, called as somebody."""

    def __init__(self, channel: grpc.Channel, token: str = "") -> None:
        if token:
            channel = grpc.intercept_channel(channel, _Bearer(token))
        self.questions = authorization_service_pb2_grpc.AuthorizationServiceStub(channel)
        self.roles = role_definition_service_pb2_grpc.RoleDefinitionServiceStub(channel)
        self.assignments = role_assignment_service_pb2_grpc.RoleAssignmentServiceStub(channel)
        self.eligible = eligible_assignment_service_pb2_grpc.EligibleAssignmentServiceStub(channel)
        self.denies = deny_assignment_service_pb2_grpc.DenyAssignmentServiceStub(channel)
        self.directory = directory_service_pb2_grpc.DirectoryServiceStub(channel)
        self.sharing = sharing_service_pb2_grpc.SharingServiceStub(channel)
        self.scopes = scope_service_pb2_grpc.ScopeServiceStub(channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(channel)
        self.feed = policy_feed_service_pb2_grpc.PolicyFeedServiceStub(channel)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...] | None
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Bearer(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        sent = _Details(
            details.method,
            details.timeout,
            (*(details.metadata or ()), self._header),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(sent, request)


class Installation:
    """An authz service with its database, its keys and its ports."""

    def __init__(self, data: Path, url: str = "", **settings: Any) -> None:
        self.layout = Layout(data)
        write(self.layout, {})
        config = load(Config, "authz", file=self.layout.config, environ={})
        self.config = replace(
            config,
            client_listen=ANY_PORT,
            internal_listen=ANY_PORT,
            feed_listen=ANY_PORT,
            database_url=url or config.database_url,
            grace_seconds=0.2,
            **settings,
        )
        prepare(self.config)
        self.db = Database.open(self.config.database_url)
        self.stores = stores_of(self.db)
        self._stack = ExitStack()
        self._users = open_users(self.config, self._stack)
        self._server = build_server(self.config, self.stores, self._users)
        self.ports = self._server.start()
        self._feed = _FeedThread(self)
        self._channels: list[grpc.Channel] = []
        self._plain = self._opened(
            grpc.insecure_channel(f"127.0.0.1:{self.ports[Audience.CLIENT]}")
        )

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._feed.stop()
        self._server.stop()
        self._stack.close()
        self.db.close()

    def stop_serving(self) -> None:
        """Stop the servers; their database and their ports stay."""
        self._feed.stop()
        self._server.stop()

    def serve_again(self) -> None:
        """Begin to serve again where it was stopped, at the same addresses."""
        self.config = replace(
            self.config,
            client_listen=f"127.0.0.1:{self.ports[Audience.CLIENT]}",
            internal_listen=f"127.0.0.1:{self.ports[Audience.INTERNAL]}",
            feed_listen=f"127.0.0.1:{self._feed.port}",
        )
        self._server = build_server(self.config, self.stores, self._users)
        self._server.start()
        self._feed = _FeedThread(self)

    def user(self, subject: str = "owner", tenant: str = "default") -> Stubs:
        return Stubs(self._plain, make_token(self.layout, subject=subject, tenant=tenant))

    def nobody(self) -> Stubs:
        return Stubs(self._plain)

    def service(self, workload: str = "catalog") -> Stubs:
        return Stubs(self._secure(workload, self.ports[Audience.INTERNAL]))

    def feed(self, workload: str = "catalog") -> Any:
        return Stubs(self._secure(workload, self._feed.port)).feed

    def _secure(self, workload: str, port: int) -> grpc.Channel:
        pem = (
            self.layout.ca_certificate.read_bytes(),
            self.layout.key(workload).read_bytes(),
            self.layout.certificate(workload).read_bytes(),
        )
        credentials = grpc.ssl_channel_credentials(*pem)
        return self._opened(grpc.secure_channel(f"127.0.0.1:{port}", credentials))

    def _opened(self, channel: grpc.Channel) -> grpc.Channel:
        self._channels.append(channel)
        return channel


class _FeedThread:
    """The feed's aio server on a loop of its own."""

    def __init__(self, installation: Installation) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._asked = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(installation,))
        self._thread.start()
        assert self._started.wait(20)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._asked.set)
        self._thread.join()

    def _run(self, installation: Installation) -> None:
        try:
            self._loop.run_until_complete(self._serve(installation))
        finally:
            self._loop.close()

    async def _serve(self, installation: Installation) -> None:
        server, servicer = build_feed(installation.config, installation.stores)
        (self.port,) = (await server.start()).values()
        self._started.set()
        await self._asked.wait()
        await server.stop()
        servicer.close()


class World:
    """Makes what a test needs, under names that no other test has."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.owner = installation.user()

    def id(self, prefix: str) -> str:
        return f"{prefix}{next(_numbers)}"

    def user(self) -> str:
        made = self.owner.directory.CreateUser(
            user_pb2.CreateUserRequest(
                parent="tenants/default",
                user_id=self.id("user"),
                user=user_pb2.User(
                    display_name="A user", user_principal_name=f"{self.id('upn')}@example.org"
                ),
            )
        )
        return made.name

    def group(self, *members: str) -> str:
        made = self.owner.directory.CreateGroup(
            group_pb2.CreateGroupRequest(
                parent="tenants/default",
                group_id=self.id("group"),
                group=group_pb2.Group(display_name="A group"),
            )
        )
        if members:
            self.owner.directory.AddGroupMembers(
                group_pb2.AddGroupMembersRequest(group=made.name, members=members)
            )
        return made.name

    def service_principal(self) -> str:
        made = self.owner.directory.CreateServicePrincipal(
            service_principal_pb2.CreateServicePrincipalRequest(
                parent="tenants/default",
                service_principal_id=self.id("robot"),
                service_principal=service_principal_pb2.ServicePrincipal(display_name="A robot"),
            )
        )
        return made.name

    def subscription(self) -> str:
        made = self.owner.directory.CreateSubscription(
            subscription_pb2.CreateSubscriptionRequest(
                subscription_id=self.id("sub-"),
                subscription=subscription_pb2.Subscription(
                    display_name="A subscription", tenant="tenants/default"
                ),
            )
        )
        return made.name

    def assign(self, principal: str, role: str, scope: str, **more: Any) -> Any:
        return self.owner.assignments.CreateRoleAssignment(
            self.assignment(principal, role, scope, **more)
        )

    def assignment(self, principal: str, role: str, scope: str, **more: Any) -> Any:
        return role_assignment_service_pb2.CreateRoleAssignmentRequest(
            parent=scope,
            role_assignment=role_assignment_pb2.RoleAssignment(
                principal=principal, role_definition=ROLES.get(role, role)
            ),
            **more,
        )

    def called(self, principal: str) -> Stubs:
        _, tenant, _, subject = principal.split("/")
        return self.installation.user(subject, tenant)


@contextmanager
def refused(code: grpc.StatusCode, reason: str = "") -> Iterator["Refusal"]:
    """Expect an error; what it says is in the value once the block has ended."""
    found = Refusal()
    with pytest.raises(grpc.RpcError) as raised:
        yield found
    error: Any = raised.value
    assert error.code() is code, (error.code(), error.details())
    found.read(error)
    assert not reason or found.info.reason == reason, found.info
    assert found.info.domain == "authz.stoa.dev"


class Refusal:
    """What an error says."""

    def __init__(self) -> None:
        self.info = error_details_pb2.ErrorInfo()
        self.text = ""
        self.fields: Sequence[str] = ()
        self.quotas: Sequence[str] = ()
        self.preconditions: Sequence[str] = ()

    def read(self, error: Any) -> None:
        trailing = dict(error.trailing_metadata())
        status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        self.text = str(status)
        for detail in status.details:
            kind = detail.TypeName()
            if kind == "google.rpc.ErrorInfo":
                detail.Unpack(self.info)
            if kind == "google.rpc.BadRequest":
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                self.fields = [one.field for one in bad.field_violations]
            if kind == "google.rpc.QuotaFailure":
                quota = error_details_pb2.QuotaFailure()
                detail.Unpack(quota)
                self.quotas = [one.subject for one in quota.violations]
            if kind == "google.rpc.PreconditionFailure":
                failed = error_details_pb2.PreconditionFailure()
                detail.Unpack(failed)
                self.preconditions = [one.type for one in failed.violations]
