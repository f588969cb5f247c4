"""A whole installation, started by the command as a user would, and called over plain gRPC."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from cli.installation import processes
from cli.installation.identity import make_token
from cli.installation.layout import SERVICES, ClientView, Layout
from cli.installation.process_table import members

TENANT: Final = "tenants/default"
SUBSCRIPTION: Final = "subscriptions/default"
# Seconds after which a state that has not come never will; no test asserts on time.
PATIENCE: Final = 90.0

_S = TypeVar("_S")
_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)


def eventually(ask: Callable[[], _T], what: str) -> _T:
    """Ask until the answer is true, and give it back."""
    until = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < until, f"it never came: {what}"
        time.sleep(0.05)
    return answer


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Metadata(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    """Adds metadata to each call, and a deadline where the test names none."""

    def __init__(self, metadata: Callable[[], list[tuple[str, str]]]) -> None:
        self._metadata: Final = metadata

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(
            _Details(
                details.method,
                PATIENCE if details.timeout is None else details.timeout,
                [*(details.metadata or ()), *self._metadata()],
                details.credentials,
                getattr(details, "wait_for_ready", None),
                getattr(details, "compression", None),
            ),
            request,
        )

    intercept_unary_unary: Any = _call
    intercept_unary_stream: Any = _call
    intercept_stream_unary: Any = _call


class Client:
    """Calls the three services as one principal, or with no token at all."""

    def __init__(
        self, endpoints: dict[str, str], metadata: Callable[[], list[tuple[str, str]]]
    ) -> None:
        self._channels: Final = {
            service: grpc.intercept_channel(grpc.insecure_channel(endpoint), _Metadata(metadata))
            for service, endpoint in endpoints.items()
        }

    def of(self, stub: Callable[[grpc.Channel], _S]) -> _S:
        """The stub of a service of the contract: its package says who serves it."""
        return stub(self._channels[stub.__module__.split(".")[1]])

    def channel(self, service: str) -> grpc.Channel:
        return self._channels[service]

    def result(self, operation: operations_pb2.Operation, kind: type[_M]) -> _M:
        """Wait for an operation of the catalog and unpack what it ended with."""
        done = self.ended(operation)
        assert not done.HasField("error"), done.error
        found = kind()
        assert done.response.Unpack(found)
        return found

    def ended(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        """Wait until an operation of the catalog is done, well or not."""
        stub: Any = operations_pb2_grpc.OperationsStub(self.channel("catalog"))
        request = operations_pb2.WaitOperationRequest(
            name=operation.name, timeout=Duration(seconds=20)
        )
        until = time.monotonic() + PATIENCE
        while not operation.done:
            assert time.monotonic() < until, f"not done: {operation}"
            operation = stub.WaitOperation(request)
        return operation

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()


class Installation:
    """The services in `home`; `environ` is added to what they and the command inherit."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.layout: Final = Layout(home)
        self._environ: Final = environ
        self._clients: list[Client] = []
        # What makes a call see a change of the policy that a test has made, if it was kept here.
        self.consistency_token = ""

    def stoa(
        self, *arguments: str, check: bool = True, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command for this installation."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STOA_")}
        home = self.layout.data
        own = {"STOA_HOME": str(home), "STOA_CONTEXTS": str(home.parent / "contexts")}
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            capture_output=True,
            check=False,
            env=kept | own | self._environ | environ,
            text=True,
            timeout=200,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def up(self) -> None:
        """Start what does not run."""
        self.stoa("up", "-d", "--ports", "auto", "--timeout", "120")

    def down(self) -> None:
        self.stoa("down", check=False)

    def restart(self, service: str) -> None:
        """Start a service that was killed, on the ports that it had."""
        eventually(lambda: processes.find(self.layout, service) is None, f"{service} is gone")
        self.stoa("up", "-d", "--timeout", "120")

    def parent(self, service: str) -> processes.Running:
        found = processes.find(self.layout, service)
        assert found is not None, f"{service} does not run"
        return found

    def workers(self, service: str) -> int:
        """The pid of the workers process of a service."""
        return self._pid(service, "--role workers")

    def hold_workers(self, service: str) -> None:
        """Stop the workers of a service, at a moment at which they do not hold its database."""
        pid = self.workers(service)
        path = self.layout.state(service) / f"{service}.db"

        def held() -> bool:
            os.kill(pid, signal.SIGSTOP)
            with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as database:
                try:
                    database.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    os.kill(pid, signal.SIGCONT)
                    return False
                database.execute("ROLLBACK")
                return True

        eventually(held, f"the workers of {service} hold nothing")

    def server(self, service: str) -> int:
        """The pid of the server process of a service."""
        return self._pid(service, "--role server")

    def _pid(self, service: str, role: str) -> int:
        def find() -> list[int]:
            found = self.parent(service).processes()
            return [pid for pid, command in found if role in command]

        return eventually(find, f"{service} {role}")[0]

    def kill(self, service: str) -> None:
        """Kill a whole service at once, as a loss of power would."""
        found = self.parent(service).processes()
        # Nobody may notice that another one died and act on it.
        for sent in (signal.SIGSTOP, signal.SIGKILL):
            for pid, _ in found:
                os.kill(pid, sent)
        eventually(lambda: not members(found[0][0]), f"{service} is dead")

    @property
    def view(self) -> ClientView:
        return self.layout.read_client()

    def token(self, subject: str | None = None, tenant: str | None = None) -> str:
        view = self.view
        return make_token(self.layout, subject=subject or view.owner, tenant=tenant or view.tenant)

    def client(self, subject: str | None = None, *, token: str | None = None) -> Client:
        """A client of a principal, of the first owner where none is named."""
        token = self.token(subject) if token is None else token

        def metadata() -> list[tuple[str, str]]:
            sent = {"authorization": f"Bearer {token}" if token else ""}
            sent["x-consistency-token"] = self.consistency_token
            return [(key, value) for key, value in sent.items() if value]

        found = Client(dict(self.view.endpoints), metadata)
        self._clients.append(found)
        return found

    def close(self) -> None:
        """Stop everything and leave no process."""
        for client in self._clients:
            client.close()
        self.down()
        for service in SERVICES:
            assert processes.find(self.layout, service) is None


@contextmanager
def installed(folder: Path, **environ: str) -> Iterator[Installation]:
    """An installation that runs while the block does; the logs are shown when it fails."""
    installation = Installation(folder / "data", **environ)
    try:
        installation.up()
        yield installation
    finally:
        for service in SERVICES:
            print(f"--- {service}", *processes.tail(installation.layout.log(service)), sep="\n")
        installation.close()
