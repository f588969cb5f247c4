"""Which installation a command talks to and as whom: flag, then environment, then context."""

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli import contexts
from cli.contexts import SERVICES, Context
from cli.errors import CliError, ExitCode, UsageProblem
from cli.installation.layout import Layout, default_data

_TOKEN_COMMAND_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """An installation as its clients see it.

    `endpoints` are `host:port` by service; `ca_file` empty means plaintext on loopback and the
    roots of the machine elsewhere. `token` is asked when the first call is made.
    """

    name: str
    endpoints: Mapping[str, str]
    token: Callable[[], str]
    ca_file: str = ""
    subscription: str = ""
    # Tokens of the caller in other tenants, sent beside the first.
    auxiliary: tuple[Callable[[], str], ...] = ()
    # The data directory, where the installation is on this machine.
    data: Path | None = None

    def endpoint(self, service: str) -> str:
        """Where a service's clients reach it.

        Raises:
            UsageProblem: the context does not say.
        """
        found = self.endpoints.get(service, "")
        if not found:
            raise UsageProblem(
                f"Context {self.name} does not say where {service} is.",
                todo=f"Say it: stoa context add {self.name} --{service} HOST:PORT, "
                f"or set {_variable(service)}",
            )
        return found


def resolve(
    name: str | None,
    environ: Mapping[str, str] = os.environ,
    *,
    token_file: str | None = None,
    also_as: Sequence[str] = (),
) -> Target:
    """Find the target of a command.

    `name`, `token_file` and `also_as` are what the command line says; the last names contexts
    whose tokens are sent as well. STOA_CONTEXT, STOA_ENDPOINT_CATALOG, STOA_ENDPOINT_REPLICATION,
    STOA_ENDPOINT_AUTHZ, STOA_CA_FILE, STOA_TOKEN, STOA_TOKEN_FILE and STOA_SUBSCRIPTION stand
    before what the context says, STOA_ALSO_AS (names after commas) beside it.

    Raises:
        CliError: there is no such context, or no installation where it says.
    """
    said = {service: environ.get(_variable(service), "") for service in SERVICES}
    given = {service: endpoint for service, endpoint in said.items() if endpoint}
    chosen = contexts.chosen(name, environ)
    of_context = _of_context(chosen, environ, needed=len(given) < len(SERVICES))
    return Target(
        name=chosen.name,
        endpoints={**of_context.endpoints, **given},
        token=_token_source(environ, token_file) or of_context.token,
        ca_file=environ.get("STOA_CA_FILE") or of_context.ca_file,
        subscription=environ.get("STOA_SUBSCRIPTION") or of_context.subscription,
        data=None if given else of_context.data,
        auxiliary=tuple(
            _of_context(contexts.chosen(one, environ), environ, needed=True).token
            for one in also_as or filter(None, environ.get("STOA_ALSO_AS", "").split(","))
        ),
    )


def of_installation(data: Path, *, name: str = contexts.LOCAL) -> Target:
    """The installation in a data directory, as its owner.

    Raises:
        CliError: there is none.
    """
    client = Layout(data).read_client()

    def token() -> str:
        from cli.installation.identity import owner_token

        return owner_token(Layout(data))

    return Target(
        name=name,
        endpoints=client.endpoints,
        token=token,
        ca_file=client.ca_file,
        subscription=client.subscription,
        data=data,
    )


def _of_context(context: Context, environ: Mapping[str, str], *, needed: bool) -> Target:
    if context.endpoints and not context.data:
        return Target(
            name=context.name,
            endpoints=context.endpoints,
            token=_token_of(context),
            ca_file=context.ca_file,
            subscription=context.subscription,
        )
    data = Path(context.data) if context.data else default_data(environ)
    if not needed and not Layout(data).exists():
        return Target(name=context.name, endpoints={}, token=_no_token)
    return of_installation(data, name=context.name)


def _token_source(environ: Mapping[str, str], token_file: str | None) -> Callable[[], str] | None:
    token = environ.get("STOA_TOKEN", "")
    file = token_file or (not token and environ.get("STOA_TOKEN_FILE")) or ""
    if file:
        return lambda: _read(file)
    return (lambda: token) if token else None


def _token_of(context: Context) -> Callable[[], str]:
    if context.token_command:
        return lambda: _run(context.token_command)
    if context.token_file:
        return lambda: _read(context.token_file)
    if context.issuer:
        return lambda: _signed_in(context)
    return _no_token


def _signed_in(context: Context) -> str:
    from cli.login.kept import token

    return token(context)


def _no_token() -> str:
    raise CliError(
        "There is no token for this installation.",
        todo="Set STOA_TOKEN or STOA_TOKEN_FILE, or give the context one: stoa context add NAME "
        "--token-command COMMAND, or --issuer URL --client-id ID for stoa login",
        code=ExitCode.DENIED,
    )


def _read(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(
            "The token cannot be read.", why=(str(error),), code=ExitCode.DENIED
        ) from error


def _run(command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            check=True,
            text=True,
            timeout=_TOKEN_COMMAND_TIMEOUT,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or ""
        raise CliError(
            "The token command failed.",
            why=(str(error), *said.strip().splitlines()),
            todo=f"Run it by hand: {command}",
            code=ExitCode.DENIED,
        ) from error
    return done.stdout.strip()


def _variable(service: str) -> str:
    return f"STOA_ENDPOINT_{service.upper()}"
