"""`stoa logout`: forgets a sign-in."""

import typer

from cli import contexts
from cli.invocation import current
from cli.login import kept
from cli.output import note

app = typer.Typer()


@app.command()
def logout() -> None:
    """Forget the sign-in of a context. What the issuer gave ends when the issuer says."""
    name = contexts.chosen(current().options.context).name
    note(f"Signed out of {name}." if kept.forget(name) else f"Nobody was signed in to {name}.")
