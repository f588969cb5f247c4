"""`stoa context`: the installations that the command can talk to."""

import re
from pathlib import Path
from typing import Annotated

import typer

from cli import contexts
from cli.contexts import LOCAL, SCOPE, Context
from cli.errors import UsageProblem
from cli.invocation import current
from cli.login import kept
from cli.output import Column, note

app = typer.Typer(no_args_is_help=True)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_COLUMNS = (
    Column("Current", lambda record: "*" if record["current"] else ""),
    Column("Name", "name"),
    Column("Data", "data"),
    Column("Catalog", "catalog"),
    Column("Replication", "replication"),
    Column("Authz", "authz"),
    Column("Subscription", "subscription"),
)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name of your choice.")],
    *,
    catalog: Annotated[str, typer.Option(help="HOST:PORT of the catalog service.")] = "",
    replication: Annotated[str, typer.Option(help="HOST:PORT of the replication service.")] = "",
    authz: Annotated[str, typer.Option(help="HOST:PORT of the authz service.")] = "",
    ca_file: Annotated[
        str, typer.Option(help="Certificates to trust (PEM). [default: those of this machine]")
    ] = "",
    token_command: Annotated[
        str, typer.Option(help="A command that prints a token; asked once per command.")
    ] = "",
    issuer: Annotated[
        str, typer.Option(help="The token issuer where `stoa login` signs in, an https URL.")
    ] = "",
    client_id: Annotated[
        str, typer.Option(help="What the issuer knows this command as, a public client.")
    ] = "",
    scope: Annotated[
        str, typer.Option(help=f"What is asked of the issuer. [default: {SCOPE}]")
    ] = "",
    from_file: Annotated[str, typer.Option("--token-from", help="A file with a token.")] = "",
    subscription: Annotated[
        str, typer.Option(help="The subscription where a command names none.")
    ] = "",
    data: Annotated[str, typer.Option(help="The data directory of an installation here.")] = "",
) -> None:
    """Add an installation, or change what is known of it."""
    if not _NAME.fullmatch(name):
        raise UsageProblem(f"{name} cannot name a context: letters, digits, - and _ can.")
    given = {"catalog": catalog, "replication": replication, "authz": authz}
    endpoints = {service: endpoint for service, endpoint in given.items() if endpoint}
    if bool(endpoints) == bool(data):
        raise UsageProblem(
            "A context has either endpoints or a data directory.",
            todo="Say --catalog, --replication and --authz, or --data.",
        )
    if sum(map(bool, (token_command, from_file, issuer))) > 1 or bool(issuer) != bool(client_id):
        raise UsageProblem(
            "A context has one way to tokens.",
            todo="Say --token-command, or --token-from, or --issuer and --client-id.",
        )
    file = contexts.path()
    saved = contexts.load(file)
    context = Context(
        name,
        data=_absolute(data),
        endpoints=endpoints,
        ca_file=_absolute(ca_file),
        token_file=_absolute(from_file),
        token_command=token_command,
        issuer=issuer,
        client_id=client_id,
        scope=scope,
        subscription=subscription,
    )
    contexts.save(file, saved.added(context))
    note(f"Added. Use it: stoa context use {name}")


@app.command()
def use(name: Annotated[str, typer.Argument(help="The context to use from now on.")]) -> None:
    """Make a context the one that commands talk to."""
    file = contexts.path()
    contexts.save(file, contexts.load(file).using(name))
    note(f"Commands talk to {name} now.")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The context to forget.")]) -> None:
    """Forget an installation, and the sign-in there."""
    file = contexts.path()
    contexts.save(file, contexts.load(file).without(name))
    kept.forget(name)
    note(f"Removed {name}.")


@app.command(name="list")
def list_() -> None:
    """List the contexts."""
    saved = contexts.load(contexts.path())
    entries = {LOCAL: Context(LOCAL), **saved.entries}
    current().output.list(
        (
            {"current": name == saved.current, "name": name, **context.to_toml()}
            for name, context in entries.items()
        ),
        _COLUMNS,
    )


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""
