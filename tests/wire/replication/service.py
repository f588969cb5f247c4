"""A real replication service beside a real authz: listeners in this process, workers outside."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import grpc
import jwt
import pytest
from google.longrunning import operations_pb2_grpc
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import insert
from stoa.replication.v1 import (
    desired_replicas_pb2,
    ensure_replicas_pb2,
    region_pb2,
    region_service_pb2,
    region_service_pb2_grpc,
    replication_feed_service_pb2_grpc,
    replication_service_pb2,
    replication_service_pb2_grpc,
    replication_watch_pb2,
)
from stoa.type.v1 import storage_pb2

from cli.installation.identity import make_token
from services.kernel.clock import SystemClock
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.ids import new_uid
from services.kernel.names import key
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.serving import open_users
from services.kernel.telemetry.telemetry import Telemetry
from services.replication.bootstrap.parts import open_parts
from services.replication.bootstrap.program import prepare
from services.replication.bootstrap.serving import build_server
from services.replication.config import Config
from services.replication.content.progress import Control
from services.replication.content.slots import Slot
from services.replication.content.upload import BlobUpload
from services.replication.convert.desired import source_of
from services.replication.domain.names import storage_id
from services.replication.store import tables
from services.replication.stores.opening import open_store
from tests.wire.authz.installation import ANY_PORT
from tests.wire.authz.installation import Installation as Authz

MIB = 1 << 20
GROUP = "subscriptions/default/resourceGroups/rg"
TENANT = storage_id("default")
_numbers = itertools.count(1)
T = TypeVar("T")


class Stubs:
    """Every service on one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.regions = region_service_pb2_grpc.RegionServiceStub(channel)
        self.replications = replication_service_pb2_grpc.ReplicationServiceStub(channel)
        self.feed = replication_feed_service_pb2_grpc.ReplicationFeedServiceStub(channel)
        self.operations: Any = operations_pb2_grpc.OperationsStub(channel)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds a token to each call, and a deadline where the test names none."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(
            _Details(
                details.method,
                details.timeout or 20,
                [*(details.metadata or ()), self._header],
                details.credentials,
                details.wait_for_ready,
                details.compression,
            ),
            request,
        )

    intercept_unary_unary: Any = _call
    intercept_unary_stream: Any = _call


class Service:
    """The service with its database, its stores, its listeners and its workers."""

    def __init__(self, authz: Authz, folder: Path, url: str = "", **settings: Any) -> None:
        self.authz = authz
        self.folder = folder
        self.layout = authz.layout
        config = load(Config, "replication", file=self.layout.config, environ={})
        self.config = replace(
            config,
            client_listen=ANY_PORT,
            internal_listen=ANY_PORT,
            authz_address=f"localhost:{authz.ports[Audience.INTERNAL]}",
            authz_feed_address=f"localhost:{authz._feed.port}",
            database_url=url or f"sqlite:///{folder / 'replication.db'}",
            store_root=folder / "stores",
            store_margin_bytes=0,
            copy_window_bytes=4 * MIB,
            lease_seconds=2.0,
            grace_seconds=0.2,
            **settings,
        )
        prepare(self.config)
        self.db = Database.open(self.config.database_url)
        self._channels: list[grpc.Channel] = []
        self._workers: list[subprocess.Popen[bytes]] = []
        self.server = _ServerThread(self)

    def restart(self) -> None:
        """Stop the listeners and start others."""
        self.server.stop()
        self.server = _ServerThread(self)

    def work(self) -> "subprocess.Popen[bytes]":
        """Start a workers process."""
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith("STOA_")
        }
        for name in (
            "authz_address",
            "authz_feed_address",
            "database_url",
            "store_root",
            "store_margin_bytes",
            "copy_window_bytes",
            "lease_seconds",
        ):
            environ[f"STOA_REPLICATION_{name.upper()}"] = str(getattr(self.config, name))
        command = [sys.executable, "-m", "services.replication", "--role", "workers"]
        log = (self.folder / "workers.log").open("ab")
        process = subprocess.Popen(
            [*command, "--config", str(self.layout.config)],
            env=environ,
            stdout=log,
            stderr=log,
        )
        log.close()
        self._workers.append(process)
        return process

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        process.terminate()
        assert process.wait(20) == 0

    def user(self, subject: str = "owner") -> Stubs:
        token = make_token(self.layout, subject=subject, tenant="default")
        port = self.server.ports[Audience.CLIENT]
        plain = self._opened(grpc.insecure_channel(f"127.0.0.1:{port}"))
        return Stubs(grpc.intercept_channel(plain, _Bearer(token)))

    def nobody(self) -> Stubs:
        port = self.server.ports[Audience.CLIENT]
        return Stubs(self._opened(grpc.insecure_channel(f"127.0.0.1:{port}")))

    def service(self, workload: str = "catalog") -> Stubs:
        pem = (
            self.layout.ca_certificate.read_bytes(),
            self.layout.key(workload).read_bytes(),
            self.layout.certificate(workload).read_bytes(),
        )
        port = self.server.ports[Audience.INTERNAL]
        credentials = grpc.ssl_channel_credentials(*pem)
        return Stubs(self._opened(grpc.secure_channel(f"127.0.0.1:{port}", credentials)))

    def close(self) -> None:
        for process in self._workers:
            if process.poll() is None:
                self.kill(process)
        for channel in self._channels:
            channel.close()
        self.server.stop()
        self.db.close()

    def _opened(self, channel: grpc.Channel) -> grpc.Channel:
        self._channels.append(channel)
        return channel


class _ServerThread:
    """The listeners on a loop of their own."""

    def __init__(self, service: Service) -> None:
        self.ports: Mapping[Audience, int] = {}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._asked = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(service,))
        self._thread.start()
        assert self._started.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._asked.set)
        self._thread.join()

    def _run(self, service: Service) -> None:
        try:
            self._loop.run_until_complete(self._serve(service))
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _serve(self, service: Service) -> None:
        with ExitStack() as stack:
            telemetry = Telemetry()
            parts = open_parts(service.config, stack, telemetry)
            await self._loop.run_in_executor(None, parts.policy.wait_ready, 20)
            users = open_users(service.config, stack)
            server = build_server(service.config, parts, users, stack=stack)
            self.ports = await server.start()
            self._started.set()
            await self._asked.wait()
            await server.stop()


class World:
    """Makes what a test needs, under names that no other test has."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.operator = service.user()
        self.catalog = service.service()
        self.number = next(_numbers)
        self.version = f"{GROUP}/galleries/g{self.number}/images/i/versions/1.0.0"
        self.uid = new_uid()

    def location(self, name: str) -> str:
        return f"{name}{self.number}"

    def region(self, name: str, slots: int = 1, **more: Any) -> region_pb2.Region:
        """Create a region whose stores lie in fresh directories."""
        location = self.location(name)
        return self.operator.regions.CreateRegion(
            region_service_pb2.CreateRegionRequest(
                region_id=location,
                region=region_pb2.Region(
                    slots=[
                        region_pb2.ReplicaSlot(id=f"s{number}", store_url=self.url(name, number))
                        for number in range(1, slots + 1)
                    ],
                    **more,
                ),
            )
        )

    def url(self, name: str, number: int = 1) -> str:
        return f"file://{self.service.folder}/stores/{self.location(name)}/{number}"

    def blob(
        self, data: bytes, name: str = "home", uid: str = "", *, form: str = "RAW"
    ) -> desired_replicas_pb2.DiskSource:
        """Make a committed blob, as an upload would have left it."""
        uid = uid or new_uid()
        location = self.location(name)
        store = open_store(self.url(name))
        with BlobUpload(uid, Slot(store, TENANT, f"{uid}.upload"), Control()) as upload:
            upload.write(0, data)
            ref = upload.commit()
        store.close()
        resource = f"{GROUP}/blobs/b{uid}"
        now = SystemClock().now()
        row = {
            "uid": uid,
            "name": resource,
            "name_key": key(resource),
            "parent_key": key(GROUP),
            "subscription_key": "subscriptions/default",
            "tenant": TENANT,
            "location": location,
            "slot": "s1",
            "format": form,
            "size_bytes": len(data),
            "state": "COMMITTED",
            "committed_bytes": len(data),
            "zero_bytes": 0,
            "stored_bytes": len(data),
            "root": ref.root.hex(),
            "tags": {},
            "fence": 0,
            "create_time": now,
            "update_time": now,
            "revision": 1,
        }
        self.service.db.transact(lambda tx: tx.execute(insert(tables.blobs), row))
        return desired_replicas_pb2.DiskSource(
            blob=desired_replicas_pb2.BlobSource(blob=resource, uid=uid)
        )

    def desired(
        self,
        disks: Mapping[str, desired_replicas_pb2.DiskSource],
        regions: Mapping[str, int],
        *,
        generation: int = 1,
    ) -> desired_replicas_pb2.DesiredReplicas:
        return desired_replicas_pb2.DesiredReplicas(
            image_version=self.version,
            image_version_uid=self.uid,
            tenant_storage_id=TENANT,
            generation=generation,
            disks=[
                desired_replicas_pb2.DesiredDisk(
                    disk=storage_pb2.DiskSelector(os=True)
                    if disk == "os"
                    else storage_pb2.DiskSelector(lun=int(disk)),
                    source=source,
                )
                for disk, source in disks.items()
            ],
            regions=[
                desired_replicas_pb2.DesiredRegion(
                    location=self.location(name), replica_count=count
                )
                for name, count in regions.items()
            ],
            home_location=self.location("home"),
        )

    def claims(self, desired: desired_replicas_pb2.DesiredReplicas) -> dict[str, Any]:
        """What the catalog signs for a desired state."""
        now = int(time.time())
        return {
            "iss": "catalog",
            "aud": "replication",
            "iat": now,
            "exp": now + 600,
            "sub": "tenants/default/users/owner",
            "action": "Microsoft.Compute/galleries/images/versions/write",
            "version": desired.image_version,
            "uid": desired.image_version_uid,
            "generation": desired.generation,
            "sources": {
                ("os" if one.disk.WhichOneof("disk") == "os" else str(one.disk.lun)): (
                    f"{source_of(one.source).identity()}#{one.source_root_digest.hex()}"
                )
                for one in desired.disks
            },
            "demands": [
                ["Microsoft.Compute/galleries/images/versions/write", desired.image_version]
            ],
            "decision": "d1",
            "revision": 1,
        }

    def sign(self, claims: Mapping[str, Any], pem: bytes = b"", **header: str) -> bytes:
        found = pem or (self.service.layout.identity / "grants.key").read_bytes()
        headers = {"typ": "stoa-grant+jwt", **header}
        return jwt.encode(dict(claims), found, algorithm="ES256", headers=headers).encode()

    def ensure(
        self, desired: desired_replicas_pb2.DesiredReplicas, **more: Any
    ) -> ensure_replicas_pb2.EnsureReplicasResponse:
        more.setdefault("operation_grant", self.sign(self.claims(desired)))
        return self.catalog.replications.EnsureReplicas(
            ensure_replicas_pb2.EnsureReplicasRequest(desired=desired, **more), timeout=20
        )

    def watch(
        self, name: str, after: int | None = None, *, stubs: Stubs | None = None, **more: Any
    ) -> Any:
        request = replication_watch_pb2.WatchReplicationRequest(name=name, **more)
        if after is not None:
            request.after_sequence = after
        return (stubs or self.operator).replications.WatchReplication(request, timeout=60)

    def get(self, name: str) -> Any:
        return self.operator.replications.GetReplication(
            replication_service_pb2.GetReplicationRequest(name=name)
        )


def told(stream: Any) -> list[replication_watch_pb2.WatchReplicationResponse]:
    """The transitions and the end of a stream, up to its own end."""
    return [one for one in stream if one.WhichOneof("event") in {"transition", "end"}]


def eventually(ask: Callable[[], T], what: str, patience: float = 30.0) -> T:
    """Ask until the answer is true, and give it back."""
    until = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < until, f"it never came: {what}"
        time.sleep(0.02)
    return answer


class Refusal:
    """What an error said."""

    def __init__(self) -> None:
        self.message = ""
        self.info = error_details_pb2.ErrorInfo()
        self.fields: dict[str, str] = {}
        self.preconditions: list[str] = []

    def read(self, error: Any) -> None:
        self.message = error.details() or ""
        for name, value in error.trailing_metadata() or ():
            if name != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                bad = error_details_pb2.BadRequest()
                failure = error_details_pb2.PreconditionFailure()
                if detail.Unpack(bad):
                    self.fields = {one.field: one.description for one in bad.field_violations}
                elif detail.Unpack(failure):
                    self.preconditions = [one.type for one in failure.violations]
                else:
                    detail.Unpack(self.info)


@contextmanager
def refused(code: grpc.StatusCode, reason: str = "") -> Iterator[Refusal]:
    """Expect an error; what it says is in the value once the block has ended."""
    found = Refusal()
    with pytest.raises(grpc.RpcError) as raised:
        yield found
    error: Any = raised.value
    assert error.code() is code, (error.code(), error.details())
    found.read(error)
    assert not reason or found.info.reason == reason, found.info
    assert found.info.domain == "replication.stoa.dev"
