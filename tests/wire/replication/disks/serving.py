"""Blobs and disks on loopback: the servicers over real rows, stores and a real authz."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from stoa.replication.v1 import blob_service_pb2_grpc, image_disk_service_pb2_grpc

from cli.installation.identity import make_token
from cli.installation.layout import Layout
from services.kernel.clock import SystemClock
from services.kernel.config import load
from services.kernel.db.engine import Database
from services.kernel.feed.log import FeedHead
from services.kernel.paging import PageTokens
from services.kernel.rpc.aio_server import AioServer
from services.kernel.rpc.credentials import TlsFiles
from services.kernel.rpc.identity import BearerAuthenticator
from services.kernel.rpc.jwks import KeySource, reader
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.pools import PoolSizes
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.tokens import Issuer, TokenVerifier
from services.policy.consistency import LogPosition
from services.policy.runtime import PolicyRuntime
from services.replication.clients.audit import AuthzAudit
from services.replication.config import Config
from services.replication.servicers.blobs import BlobServicer
from services.replication.servicers.disks import DiskServicer
from services.replication.store.reader_seats import LeasedSeats
from tests.integration.replication.world import World

ANY = "127.0.0.1:0"
DOMAIN = "replication.stoa.dev"
BLOBS = "stoa.replication.v1.BlobService"
DISKS = "stoa.replication.v1.ImageDiskService"


class DiskService:
    """Serves blobs and disks until `close`; `authz` are the ports of authz: calls and feed."""

    def __init__(
        self, layout: Layout, data: Path, *, authz: tuple[int, int], **environ: str
    ) -> None:
        self.layout = layout
        self.config = load(Config, "replication", file=layout.config, environ=environ)
        first = not (data / "rows.db").exists()
        self.db = Database.open(f"sqlite:///{data / 'rows.db'}")
        self.world = World(self.db, data / "stores")
        if first:
            self.world.create_schema()
        self.clock = SystemClock()
        self._authz = [self._secure("replication", port) for port in authz]
        questions, feed = self._authz
        self.policy = PolicyRuntime(feed, questions, name="replication")
        self.policy.start()
        assert self.policy.wait_ready(20)
        self.questions = questions
        self._keys = KeySource(reader(self.config.token_keys))
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._asked = asyncio.Event()
        self.ports: dict[Audience, int] = {}
        self.head: Callable[[], FeedHead]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._started.wait(20)
        self._opened: list[grpc.Channel] = []

    def close(self) -> None:
        for channel in self._opened:
            channel.close()
        self._loop.call_soon_threadsafe(self._asked.set)
        self._thread.join()
        self.policy.stop()
        for channel in self._authz:
            channel.close()
        self._keys.close()
        self.world.close()
        self.db.close()

    def catch_up(self) -> None:
        """Wait until the policy here is as new as authz's own."""
        head = self.head()
        position = LogPosition(head.epoch, head.position)
        assert self.policy.replica.wait_until(position, 20) is not None

    def wait_checked(self) -> None:
        """Wait until every open stream was compared with the policy as it is now."""
        pause = threading.Event()
        for _ in range(400):
            revision = self.policy.control.revision
            if all(one.revision_checked >= revision for one in self.server.streams.calls()):
                return
            pause.wait(0.05)
        raise AssertionError("the streams were not looked at")

    def user(self, subject: str = "owner", tenant: str = "default") -> "Stubs":
        token = make_token(self.layout, subject=subject, tenant=tenant)
        port = self.ports[Audience.CLIENT]
        return Stubs(self._keep(grpc.insecure_channel(f"127.0.0.1:{port}")), token)

    def service(self, workload: str = "catalog") -> "Stubs":
        return Stubs(self._keep(self._secure(workload, self.ports[Audience.INTERNAL])))

    def _keep(self, channel: grpc.Channel) -> grpc.Channel:
        self._opened.append(channel)
        return channel

    def _secure(self, workload: str, port: int) -> grpc.Channel:
        pem = (
            self.layout.ca_certificate.read_bytes(),
            self.layout.key(workload).read_bytes(),
            self.layout.certificate(workload).read_bytes(),
        )
        return grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(*pem))

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        config = self.config
        tls = TlsFiles(config.tls_certificate, config.tls_key, config.tls_authorities)
        settings = ServerSettings(
            DOMAIN,
            client=Listen(ANY),
            internal=Listen(ANY, tls),
            pools=PoolSizes.aio(),
            grace=0.2,
        )
        verifier = TokenVerifier(config.token_audience, [Issuer(config.token_issuer, self._keys)])
        self.server = server = AioServer(
            settings, Guards(BearerAuthenticator(verifier), self.policy.control)
        )
        parts: Any = SimpleNamespace(
            config=config,
            rows=self.world.rows,
            stores=self.world.stores,
            page_tokens=PageTokens(b"0123456789abcdef"),
            control=self.policy.control,
            clock=self.clock,
            results=self.world.results,
            audit=AuthzAudit(self.questions, self.clock),
            blobs=self.world.blobs,
            files=self.world.files,
            seats=LeasedSeats(self.db, seats=config.shallow_readers),
        )
        server.register(BLOBS, BlobServicer(parts))
        server.register(DISKS, DiskServicer(parts))
        self.ports = await server.start()
        self._started.set()
        await self._asked.wait()
        await server.stop()


class Stubs:
    """The services, called as somebody."""

    def __init__(self, channel: grpc.Channel, token: str = "") -> None:
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self.blobs = _Bound(blob_service_pb2_grpc.BlobServiceStub(channel), metadata)
        self.disks = _Bound(image_disk_service_pb2_grpc.ImageDiskServiceStub(channel), metadata)


class _Bound:
    def __init__(self, stub: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stub, name)
        return lambda request: method(request, metadata=self._metadata, timeout=60)
