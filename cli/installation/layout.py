"""Where everything lies in the data directory of an installation."""

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.errors import CliError
from cli.toml import dump

# In the order in which they are stopped: who calls others goes first.
SERVICES: Final = ("catalog", "replication", "authz")


@dataclass(frozen=True, slots=True)
class ClientView:
    """What the clients of an installation need to know: `client.toml`."""

    endpoints: Mapping[str, str]
    ca_file: str
    issuer: str
    tenant: str
    subscription: str
    owner: str

    def to_toml(self) -> str:
        """The file."""
        return dump(
            {
                "endpoints": self.endpoints,
                "client": {
                    "ca_file": self.ca_file,
                    "issuer": self.issuer,
                    "tenant": self.tenant,
                    "subscription": self.subscription,
                    "owner": self.owner,
                },
            }
        )


class Layout:
    """The paths under a data directory."""

    def __init__(self, data: Path) -> None:
        self.data: Final = data.absolute()

    @property
    def config(self) -> Path:
        """What the services read."""
        return self.data / "config.toml"

    @property
    def client(self) -> Path:
        """What the command reads."""
        return self.data / "client.toml"

    @property
    def ca_certificate(self) -> Path:
        """Whom services and clients trust."""
        return self.pki / "ca.crt"

    @property
    def pki(self) -> Path:
        """Certificates and their keys."""
        return self.data / "pki"

    @property
    def identity(self) -> Path:
        """Keys that sign tokens and grants, and the public halves."""
        return self.data / "identity"

    @property
    def processes(self) -> Path:
        """Which processes run: one file for each service."""
        return self.data / "run"

    @property
    def stores(self) -> Path:
        """Where region stores may be put; the installation itself puts none there."""
        return self.data / "regions"

    def certificate(self, service: str) -> Path:
        """The certificate of a service as a workload."""
        return self.pki / f"{service}.crt"

    def key(self, service: str) -> Path:
        """The private key of that certificate."""
        return self.pki / f"{service}.key"

    def state(self, service: str) -> Path:
        """What only that service reads and writes: its database."""
        return self.data / service

    def log(self, service: str) -> Path:
        """Where a service's parent and its children write."""
        return self.data / "logs" / f"{service}.log"

    def exists(self) -> bool:
        """Whether an installation was written here."""
        return self.client.exists() and self.config.exists()

    def read_client(self) -> ClientView:
        """Read what clients need.

        Raises:
            CliError: there is no installation here, or its file is damaged.
        """
        document = self._read(self.client)
        try:
            client = document["client"]
            return ClientView(
                endpoints={name: str(document["endpoints"][name]) for name in SERVICES},
                ca_file=client["ca_file"],
                issuer=client["issuer"],
                tenant=client["tenant"],
                subscription=client["subscription"],
                owner=client["owner"],
            )
        except (KeyError, TypeError) as error:
            raise CliError(
                f"{self.client} is damaged.",
                why=(f"it lacks {error}",),
                todo=f"Remove it and write it again: stoa init --data {self.data}",
            ) from error

    def read_config(self) -> dict[str, Any]:
        """Read what the services read.

        Raises:
            CliError: there is no installation here, or its file is damaged.
        """
        return self._read(self.config)

    def _read(self, file: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(file.read_text())
        except FileNotFoundError:
            raise CliError(
                f"There is no installation in {self.data}.",
                todo="Start one: stoa up. Use another: stoa context use NAME, or set STOA_HOME.",
            ) from None
        except (OSError, ValueError) as error:
            raise CliError(f"{file} cannot be read.", why=(str(error),)) from error


def default_data(environ: Mapping[str, str] = os.environ) -> Path:
    """The data directory where none is named: `$STOA_HOME`, or the user's state directory."""
    home = environ.get("STOA_HOME")
    if home:
        return Path(home)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "stoa"
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "stoa"
