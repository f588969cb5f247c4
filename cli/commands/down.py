"""`stoa down`: stops what `stoa up` started."""

import typer

from cli.commands.options import Data
from cli.installation import running
from cli.installation.writing import data_of, locked
from cli.output import note

app = typer.Typer()


@app.command()
def down(*, data: Data = None) -> None:
    """Stop the services here: catalog, replication, authz. The data stays."""
    layout = data_of(data)
    layout.read_client()
    with locked(layout):
        stopped = running.stop(layout, tell=note)
    note("Stopped." if stopped else f"Nothing runs in {layout.data}.")
