"""Contexts: the installations that the command can talk to, in a file of the user."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cli.errors import CliError, ExitCode, UsageProblem
from cli.toml import dump

SERVICES: Final = ("catalog", "replication", "authz")
# The one that needs no entry: the installation of this machine.
LOCAL: Final = "local"
# What an issuer is asked for where nothing else is said: a token, and one to refresh it with.
SCOPE: Final = "openid offline_access"
_PROPERTIES: Final = (
    "data",
    "ca_file",
    "token_file",
    "token_command",
    "issuer",
    "client_id",
    "scope",
    "subscription",
)


@dataclass(frozen=True, slots=True)
class Context:
    """How to reach an installation: its data directory here, or endpoints of its services."""

    name: str
    # A data directory that `stoa up` made; says everything else.
    data: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    ca_file: str = ""
    token_file: str = ""
    token_command: str = ""
    # Where `stoa login` signs in, as which client, and what it asks for.
    issuer: str = ""
    client_id: str = ""
    scope: str = ""
    subscription: str = ""

    def to_toml(self) -> dict[str, Any]:
        """The table in the file, without what is not set."""
        found: dict[str, Any] = {
            "data": self.data,
            **self.endpoints,
            "ca_file": self.ca_file,
            "token_file": self.token_file,
            "token_command": self.token_command,
            "issuer": self.issuer,
            "client_id": self.client_id,
            "scope": self.scope,
            "subscription": self.subscription,
        }
        return {key: value for key, value in found.items() if value}

    @classmethod
    def from_toml(cls, name: str, table: Mapping[str, Any]) -> "Context":
        """Read a table of the file.

        Raises:
            CliError: it has a property that means nothing, or one that is no text.
        """
        known = {*_PROPERTIES, *SERVICES}
        for key, value in table.items():
            if key not in known or not isinstance(value, str):
                raise CliError(
                    f"Context {name} cannot be read.",
                    why=(f"{key} is not a text property of a context",),
                    todo=f"Correct or remove it in {path()}",
                )
        endpoints = {service: table[service] for service in SERVICES if service in table}
        rest = {key: value for key, value in table.items() if key not in SERVICES}
        return cls(name, endpoints=endpoints, **rest)


@dataclass(frozen=True, slots=True)
class Contexts:
    """All contexts and the name of the current one."""

    current: str
    entries: Mapping[str, Context]

    def find(self, name: str) -> Context:
        """The context of that name.

        Raises:
            UsageProblem: there is none.
        """
        found = self.entries.get(name)
        if found is not None:
            return found
        if name == LOCAL:
            return Context(LOCAL)
        known = ", ".join(sorted({LOCAL, *self.entries}))
        raise UsageProblem(
            f"There is no context {name}.",
            why=(f"Contexts are: {known}",),
            todo=f"Add it: stoa context add {name} --catalog HOST:PORT ...",
        )

    def added(self, context: Context) -> "Contexts":
        """These contexts with that one, in place of one of the same name."""
        return replace(self, entries={**self.entries, context.name: context})

    def without(self, name: str) -> "Contexts":
        """These contexts but that one; the installation of this machine is current in its place.

        Raises:
            UsageProblem: there is none of that name to remove.
        """
        if name not in self.entries:
            self.find(name)
            raise UsageProblem(f"Context {name} is always there.")
        entries = {one: context for one, context in self.entries.items() if one != name}
        return Contexts(LOCAL if self.current == name else self.current, entries)

    def using(self, name: str) -> "Contexts":
        """These contexts with another current one.

        Raises:
            UsageProblem: there is none of that name.
        """
        return replace(self, current=self.find(name).name)


def path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the contexts are kept: `$STOA_CONTEXTS`, or stoa/contexts.toml of the user's config."""
    given = environ.get("STOA_CONTEXTS")
    if given:
        return Path(given)
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "stoa" / "contexts.toml"


def chosen(name: str | None, environ: Mapping[str, str] = os.environ) -> Context:
    """The context of a command: the one it names, else that of STOA_CONTEXT, else the current.

    Raises:
        CliError: there is none of that name, or the file cannot be read.
    """
    saved = load(path(environ))
    return saved.find(name or environ.get("STOA_CONTEXT") or saved.current)


def load(file: Path) -> Contexts:
    """Read the contexts; a file that is not there holds none.

    Raises:
        CliError: the file cannot be read.
    """
    try:
        document = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return Contexts(LOCAL, {})
    except (OSError, ValueError) as error:
        raise CliError(
            f"The contexts in {file} cannot be read.",
            why=(str(error),),
            todo="Correct or remove the file.",
            code=ExitCode.USAGE,
        ) from error
    tables = document.get("contexts", {})
    entries = {name: Context.from_toml(name, table) for name, table in tables.items()}
    return Contexts(str(document.get("current", LOCAL)), entries)


def save(file: Path, contexts: Contexts) -> None:
    """Write the contexts so that a reader sees the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {"current": contexts.current}
    for name, context in contexts.entries.items():
        document[f"contexts.{name}"] = context.to_toml()
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_text(dump(document))
    scratch.replace(file)
