"""What was chosen when an installation was written, kept so that writing again changes nothing."""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from cli.errors import CliError, UsageProblem
from cli.installation.files import write_public

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
LOOPBACK: Final = "127.0.0.1"
BASE_PORT: Final = 7400
# Every listener of the installation and how far its port is from the base.
LISTENERS: Final = {
    "catalog": 1,
    "replication": 2,
    "authz": 3,
    "authz-feed": 4,
    "catalog-internal": 11,
    "replication-internal": 12,
    "authz-internal": 13,
}


def ports_from(base: int) -> dict[str, int]:
    """The ports of all listeners, counted from a base."""
    return {name: base + offset for name, offset in LISTENERS.items()}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the options of `stoa init` and `stoa up` say about an installation.

    `hosts` are the names under which services are reached, by service; none means this
    machine. `listen` is the address that all listeners are bound to. `database_urls` are by
    service; none means a SQLite file in the data directory. `tls` makes clients use it on
    loopback as well.
    """

    ports: Mapping[str, int] = field(default_factory=lambda: ports_from(BASE_PORT))
    hosts: Mapping[str, str] = field(default_factory=dict)
    listen: str = LOOPBACK
    database_urls: Mapping[str, str] = field(default_factory=dict)
    tenant: str = "default"
    subscription: str = "default"
    owner: str = "owner"
    tls: bool = False

    def host(self, service: str) -> str:
        """How other services and clients name the machine of a service."""
        return self.hosts.get(service) or (LOOPBACK if self.listen in _ALL else self.listen)

    @property
    def plaintext(self) -> bool:
        """Whether clients connect without TLS: on this machine alone, unless it is asked for."""
        return not self.tls and is_loopback(self.listen)

    def changed(self, given: Mapping[str, Any]) -> "Choices":
        """These choices with what is given this time; None is not given.

        Raises:
            UsageProblem: the tenant, subscription or owner given cannot be an id.
        """
        for name in ("tenant", "subscription", "owner"):
            found = given.get(name)
            if found is not None and not _ID.fullmatch(found):
                raise UsageProblem(
                    f"{found} cannot be the id of the {name}.",
                    todo="Ids have letters, digits, and . _ @ - behind the first one.",
                )
        return replace(self, **{key: value for key, value in given.items() if value is not None})


# Listening there is listening on every address that the machine has.
_ALL: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 named to be recognised


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the data directory: the choices, and a digest of the file made from them."""

    choices: Choices
    config_digest: str

    def save(self, file: Path) -> None:
        """Write the record."""
        write_public(file, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Written | None":
        """Read the record; None where nothing was written yet.

        Raises:
            CliError: it is damaged.
        """
        try:
            document = json.loads(file.read_text())
            known = {one.name for one in fields(Choices)}
            chosen = {key: one for key, one in document["choices"].items() if key in known}
            return cls(Choices(**chosen), str(document["config_digest"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CliError(f"{file} is damaged.", why=(str(error),)) from error
