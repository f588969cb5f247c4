"""A real catalog beside a real authz, with a replication service that the tests conduct."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from stoa.catalog.v1 import (
    community_gallery_service_pb2_grpc,
    disk_encryption_set_service_pb2_grpc,
    disk_service_pb2_grpc,
    gallery_pb2,
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    image_definition_pb2,
    image_definition_service_pb2,
    image_definition_service_pb2_grpc,
    image_version_pb2,
    image_version_requests_pb2,
    image_version_service_pb2_grpc,
    managed_image_service_pb2_grpc,
    resource_group_pb2,
    resource_group_service_pb2,
    resource_group_service_pb2_grpc,
    shared_gallery_service_pb2_grpc,
    snapshot_service_pb2_grpc,
    storage_account_service_pb2_grpc,
    storage_profile_pb2,
    usage_service_pb2_grpc,
    virtual_machine_service_pb2_grpc,
)
from stoa.type.v1 import os_type_pb2

from cli.installation.identity import make_token
from services.catalog.bootstrap.foundation import open_foundation
from services.catalog.bootstrap.serving import build_server
from services.catalog.bootstrap.working import build_duties
from services.catalog.config import Config
from services.catalog.store.schema import MIGRATIONS
from services.kernel.clock import Clock
from services.kernel.config import load
from services.kernel.db.migrations import migrate
from services.kernel.rpc.client import ServiceChannel
from services.kernel.rpc.credentials import TlsFiles
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.serving import open_users
from services.policy.runtime import PolicyRuntime
from tests.wire.authz.installation import ANY_PORT, Installation
from tests.wire.catalog.replication import Replication

SUBSCRIPTION = "subscriptions/default"
_numbers = itertools.count(1)


class Stubs:
    """Every service of the catalog on one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.groups = resource_group_service_pb2_grpc.ResourceGroupServiceStub(channel)
        self.galleries = gallery_service_pb2_grpc.GalleryServiceStub(channel)
        self.definitions = image_definition_service_pb2_grpc.ImageDefinitionServiceStub(channel)
        self.versions = image_version_service_pb2_grpc.ImageVersionServiceStub(channel)
        self.images = managed_image_service_pb2_grpc.ManagedImageServiceStub(channel)
        self.disks = disk_service_pb2_grpc.DiskServiceStub(channel)
        self.disk_encryption_sets = (
            disk_encryption_set_service_pb2_grpc.DiskEncryptionSetServiceStub(channel)
        )
        self.storage_accounts = storage_account_service_pb2_grpc.StorageAccountServiceStub(channel)
        self.virtual_machines = virtual_machine_service_pb2_grpc.VirtualMachineServiceStub(channel)
        self.snapshots = snapshot_service_pb2_grpc.SnapshotServiceStub(channel)
        self.shared = shared_gallery_service_pb2_grpc.SharedGalleryServiceStub(channel)
        self.community = community_gallery_service_pb2_grpc.CommunityGalleryServiceStub(channel)
        self.usages = usage_service_pb2_grpc.UsageServiceStub(channel)
        self.operations: Any = operations_pb2_grpc.OperationsStub(channel)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...] | None
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Bearer(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, token: str, *also: str) -> None:
        self._headers = (
            ("authorization", f"Bearer {token}"),
            *(("x-stoa-authorization-auxiliary", f"Bearer {one}") for one in also),
        )

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        sent = _Details(
            details.method,
            details.timeout or 20,
            (*(details.metadata or ()), *self._headers),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(sent, request)


class Catalog:
    """The service in this process: servers and workers over one database."""

    def __init__(
        self,
        authz: Installation,
        replication: Replication,
        data: Path,
        url: str = "",
        *,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.authz = authz
        self.replication = replication
        self._stack = ExitStack()
        config = load(Config, "catalog", file=authz.layout.config, environ={})
        self.config = replace(
            config,
            client_listen=ANY_PORT,
            internal_listen=ANY_PORT,
            database_url=url or f"sqlite:///{data / 'catalog.db'}",
            authz_address=f"localhost:{authz.ports[Audience.INTERNAL]}",
            authz_feed_address=f"localhost:{authz._feed.port}",
            replication_address=f"localhost:{replication.port}",
            grace_seconds=0.2,
            **settings,
        )
        migrate(self.config.database_url, MIGRATIONS)
        self.foundation = open_foundation(self.config, self._stack, clock)
        tls = TlsFiles(
            self.config.tls_certificate, self.config.tls_key, self.config.tls_authorities
        )
        feed = ServiceChannel(
            self.config.authz_feed_address, tls, services=["stoa.authz.v1.PolicyFeedService"]
        )
        self._stack.callback(feed.close)
        self.runtime = PolicyRuntime(
            feed,
            self.foundation.authz,
            name="catalog",
            own_issuer=self.config.token_issuer,
            guesses_per_minute=self.config.guesses_per_minute,
        )
        self.runtime.start()
        self._stack.callback(self.runtime.stop)
        users = open_users(self.config, self._stack)
        server = build_server(self.foundation, self.runtime.control, users)
        self.ports = server.start()
        self._stack.callback(server.stop)
        self.duties = build_duties(self.foundation)
        self.duties.start()
        self._stack.callback(self._stop_duties)
        assert self.runtime.wait_ready(20)
        self._plain = grpc.insecure_channel(f"127.0.0.1:{self.ports[Audience.CLIENT]}")
        self._stack.callback(self._plain.close)

    def close(self) -> None:
        self._stack.close()

    def _stop_duties(self) -> None:
        # Those that run by then: the workers may have been started anew.
        self.duties.stop()

    def catch_up(self) -> None:
        """Wait until the policy here is what authz has now."""
        head = self.runtime.control._head.get(5.0)
        assert self.runtime.replica.wait_until(head.position, 5.0)

    def restart_workers(self) -> None:
        self.duties.stop()
        self.duties = build_duties(self.foundation)
        self.duties.start()

    def user(self, subject: str = "owner", tenant: str = "default", *also: str) -> Stubs:
        """Answer the stubs of a caller; `also` are tokens of other tenants."""
        token = make_token(self.authz.layout, subject=subject, tenant=tenant)
        return self.bearer(token, *also)

    def bearer(self, token: str, *also: str) -> Stubs:
        return Stubs(grpc.intercept_channel(self._plain, _Bearer(token, *also)))

    def nobody(self) -> Stubs:
        return Stubs(self._plain)


class World:
    """Makes what a test needs, under names that no other test has."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.replication = catalog.replication
        self.owner = catalog.user()

    def id(self, prefix: str = "x") -> str:
        return f"{prefix}{next(_numbers)}"

    def group(self, location: str = "eastus", parent: str = SUBSCRIPTION, **more: Any) -> str:
        request = resource_group_service_pb2.CreateResourceGroupRequest(
            parent=parent,
            resource_group_id=self.id("group"),
            resource_group=resource_group_pb2.ResourceGroup(location=location, **more),
        )
        return self.owner.groups.CreateResourceGroup(request).name

    def gallery(self, group: str = "", **more: Any) -> str:
        fields: dict[str, Any] = {"location": "eastus"} | more
        request = gallery_service_pb2.CreateGalleryRequest(
            parent=group or self.group(),
            gallery_id=self.id("gallery"),
            gallery=gallery_pb2.Gallery(**fields),
        )
        return self.owner.galleries.CreateGallery(request).name

    def definition_request(self, gallery: str = "", **more: Any) -> Any:
        sku = self.id("sku")
        fields: dict[str, Any] = {
            "location": "eastus",
            "os_type": os_type_pb2.OS_TYPE_LINUX,
            "os_state": os_type_pb2.OS_STATE_GENERALIZED,
            "identifier": image_definition_pb2.ImageIdentifier(
                publisher="Publisher", offer="Offer", sku=sku
            ),
        }
        return image_definition_service_pb2.CreateImageDefinitionRequest(
            parent=gallery or self.gallery(),
            image_definition_id=self.id("image"),
            image_definition=image_definition_pb2.ImageDefinition(**(fields | more)),
        )

    def definition(self, gallery: str = "", **more: Any) -> str:
        request = self.definition_request(gallery, **more)
        return self.owner.definitions.CreateImageDefinition(request).name

    def blob(self, group: str, location: str = "eastus", **more: Any) -> str:
        name = f"{group}/blobs/{self.id('blob')}"
        self.replication.add_blob(name, location, **more)
        return name

    def version_request(
        self,
        definition: str = "",
        number: str = "1.0.0",
        regions: Sequence[Any] = ("eastus",),
        **more: Any,
    ) -> Any:
        definition = definition or self.definition()
        group = "/".join(definition.split("/")[:4])
        profile = storage_profile_pb2.StorageProfile()
        profile.os_disk_image.source.blob = self.blob(group)
        data = profile.data_disk_images.add(lun=3)
        data.source.blob = self.blob(group)
        top = {
            key: more.pop(key) for key in ("wait_for", "validate_only", "request_id") if key in more
        }
        fields: dict[str, Any] = {"location": "eastus", "storage_profile": profile} | more
        version = image_version_pb2.ImageVersion(**fields)
        for one in regions:
            if isinstance(one, str):
                version.target_regions.add(location=one)
            else:
                version.target_regions.add(**one)
        return image_version_requests_pb2.CreateImageVersionRequest(
            parent=definition, image_version_id=number, image_version=version, **top
        )

    def version(self, definition: str = "", number: str = "1.0.0", **more: Any) -> Any:
        """Answer a version that was just accepted, and its operation."""
        request = self.version_request(definition, number, **more)
        operation = self.owner.versions.CreateImageVersion(request)
        name = f"{request.parent}/versions/{number}"
        return self.get(name), operation

    def finished(self, definition: str = "", number: str = "1.0.0", **more: Any) -> Any:
        """Answer a version of which every region is COMPLETED."""
        version, operation = self.version(definition, number, **more)
        self.replication.await_ensured(version.uid, 1)
        for region in version.target_regions:
            self.replication.tell(version.uid, region.location, 3)
        assert self.wait(operation).HasField("response")
        return self.get(version.name)

    def get(self, name: str, view: Any = image_version_pb2.IMAGE_VERSION_VIEW_FULL) -> Any:
        request = image_version_requests_pb2.GetImageVersionRequest(name=name, view=view)
        return self.owner.versions.GetImageVersion(request)

    def until(self, name: str, condition: Callable[[Any], Any]) -> Any:
        """Answer a version once it is as a test waits for."""
        for _ in range(500):
            found = self.get(name)
            if condition(found):
                return found
            time.sleep(0.02)
        raise AssertionError(found)

    def wait(self, operation: Any, timeout: int = 15) -> Any:
        """Answer an operation when it is done."""
        found = self.owner.operations.WaitOperation(
            operations_pb2.WaitOperationRequest(
                name=operation.name, timeout=Duration(seconds=timeout)
            )
        )
        assert found.done, found
        return found


def status_of(error: Any) -> status_pb2.Status:
    """Answer the status, with its details, that an error of gRPC brought."""
    trailing = dict(error.trailing_metadata())
    return status_pb2.Status.FromString(trailing["grpc-status-details-bin"])


class Refusal:
    """What an error says."""

    def __init__(self) -> None:
        self.info = error_details_pb2.ErrorInfo()
        self.fields: Mapping[str, str] = {}
        self.descriptions: Mapping[str, str] = {}
        self.preconditions: Mapping[str, str] = {}
        self.message = ""

    def read(self, status: status_pb2.Status) -> None:
        self.message = status.message
        for detail in status.details:
            kind = detail.TypeName()
            if kind == "google.rpc.ErrorInfo":
                detail.Unpack(self.info)
            if kind == "google.rpc.BadRequest":
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                self.fields = {one.field: one.reason for one in bad.field_violations}
                self.descriptions = {one.field: one.description for one in bad.field_violations}
            if kind == "google.rpc.PreconditionFailure":
                failed = error_details_pb2.PreconditionFailure()
                detail.Unpack(failed)
                self.preconditions = {one.subject: one.type for one in failed.violations}


@contextmanager
def refused(code: grpc.StatusCode, reason: str = "") -> Iterator[Refusal]:
    """Expect an error; what it says is in the value once the block has ended."""
    found = Refusal()
    with pytest.raises(grpc.RpcError) as raised:
        yield found
    error: Any = raised.value
    assert error.code() is code, (error.code(), error.details())
    found.read(status_of(error))
    assert not reason or found.info.reason == reason, found.info
    assert found.info.domain == "catalog.stoa.dev"
