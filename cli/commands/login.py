"""`stoa login`: signs in at the issuer of a context."""

import sys
from typing import Annotated

import typer

from cli import contexts
from cli.contexts import Context
from cli.errors import UsageProblem
from cli.invocation import current
from cli.login import kept
from cli.login.issuer import TokenIssuer
from cli.output import note

app = typer.Typer()


@app.command()
def login(
    *,
    scope: Annotated[
        str, typer.Option(help="What is asked of the issuer. [default: that of the context]")
    ] = "",
) -> None:
    """Sign in with a browser, on this machine or another one.

    Commands in this context then call with the token of the issuer, which is refreshed for as
    long as the issuer lets it be.
    """
    context = chosen()
    issuer = TokenIssuer(context.issuer, context.client_id)
    device = issuer.begin(scope or context.scope or contexts.SCOPE)
    sys.stderr.write(f"Open {device.uri} and enter the code {device.user_code}\n")
    if device.complete_uri:
        sys.stderr.write(f"or open {device.complete_uri}\n")
    sys.stderr.flush()
    kept.keep(context, issuer.finish(device))
    note(f"Signed in to {context.name}.")


def chosen() -> Context:
    """The context that the command line, the environment or the file says.

    Raises:
        UsageProblem: nobody signs in there.
    """
    found = contexts.chosen(current().options.context)
    if not found.issuer:
        raise UsageProblem(
            f"Context {found.name} has no issuer to sign in at.",
            todo=f"Name it: stoa context add {found.name} --issuer URL --client-id ID ...",
        )
    return found
