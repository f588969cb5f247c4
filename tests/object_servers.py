"""Servers of objects on loopback: versitygw for S3, Azurite for Azure Blob Storage."""

import base64
import hmac
import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from services.kernel.ids import new_uid
from services.replication.domain.region import StoreAddress

# How often, and how long apart in seconds, a server that starts is asked whether it listens.
_LOOKS: Final = 600
_APART: Final = 0.05
BUCKET: Final = "stoa"
# The account that every emulator of Azure Blob Storage knows, and its published key.
_AZURE_ACCOUNT: Final = "devstoreaccount1"
_AZURE_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclass(frozen=True)
class ObjectServer:
    """A running server; every store gets a prefix of its bucket to itself."""

    scheme: str
    port: int
    options: Mapping[str, str]
    folder: Path = field(default=Path())

    def address(self, port: int = 0, **options: str) -> StoreAddress:
        """The address of a fresh store, through another port where a proxy listens."""
        return StoreAddress(
            f"{self.scheme}://{BUCKET}/{new_uid()}", {**self._options(port), **options}
        )

    def url(self, port: int = 0, **options: str) -> str:
        """The same as an operator writes it."""
        address = self.address(port, **options)
        return f"{address.url}?{urlencode(address.options)}"

    def _options(self, port: int) -> dict[str, str]:
        place = f"127.0.0.1:{port or self.port}"
        return {name: value.format(place=place) for name, value in self.options.items()}


@contextmanager
def s3_server(program: str, folder: Path) -> Iterator[ObjectServer]:
    """Run versitygw on an empty directory."""
    data, sidecar = folder / "data", folder / "sidecar"
    (data / BUCKET).mkdir(parents=True)
    sidecar.mkdir()
    port = _free_port()
    environment = {
        **os.environ,
        "ROOT_ACCESS_KEY": "stoa-tests",
        "ROOT_SECRET_KEY": "stoa-tests-secret",
    }
    # Metadata beside the data: not every file system of a machine has extended attributes.
    command: list[str | Path] = [
        program,
        "--port",
        f"127.0.0.1:{port}",
        "posix",
        "--sidecar",
        sidecar,
        data,
    ]
    with _running(command, port, folder / "log", environment):
        yield ObjectServer(
            "s3",
            port,
            {
                "endpoint": "http://{place}",
                "region": "us-east-1",
                "access_key_id": "stoa-tests",
                "secret_access_key": "stoa-tests-secret",
            },
            data / BUCKET,
        )


@contextmanager
def azure_server(program: str, folder: Path) -> Iterator[ObjectServer]:
    """Run Azurite on an empty directory."""
    folder.mkdir(parents=True)
    port = _free_port()
    command: list[str | Path] = [
        *(program, "--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--location", folder),
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
    ]
    with _running(command, port, folder / "log", dict(os.environ)):
        found = ObjectServer(
            "az",
            port,
            {
                "endpoint": f"http://{{place}}/{_AZURE_ACCOUNT}",
                "account_name": _AZURE_ACCOUNT,
                "account_key": _AZURE_KEY,
            },
        )
        _create_container(found)
        yield found


def _create_container(server: ObjectServer) -> None:
    """Ask for the container with a signature of the account (shared key)."""
    date = formatdate(usegmt=True)
    version = "2021-08-06"
    path = f"/{_AZURE_ACCOUNT}/{BUCKET}"
    words = "\n".join(
        [
            "PUT",
            *[""] * 11,
            f"x-ms-date:{date}",
            f"x-ms-version:{version}",
            # The account stands twice: once as such, and once in the path of an emulator.
            f"/{_AZURE_ACCOUNT}{path}",
            "restype:container",
        ]
    )
    key = base64.b64decode(_AZURE_KEY)
    signature = base64.b64encode(hmac.digest(key, words.encode(), "sha256")).decode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        connection.request(
            "PUT",
            f"{path}?restype=container",
            headers={
                "x-ms-date": date,
                "x-ms-version": version,
                "Authorization": f"SharedKey {_AZURE_ACCOUNT}:{signature}",
                "Content-Length": "0",
            },
        )
        answer = connection.getresponse()
        assert answer.status == http.client.CREATED, answer.read()
    finally:
        connection.close()


@contextmanager
def _running(
    command: list[str | Path], port: int, log: Path, environment: dict[str, str]
) -> Iterator[None]:
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as process,
    ):
        try:
            _wait_until_it_listens(process, port, log)
            yield
        finally:
            process.terminate()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    pause = threading.Event()
    for _ in range(_LOOKS):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pause.wait(_APART)
            continue
        return
    raise AssertionError(f"the server does not listen: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port
