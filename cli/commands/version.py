"""`stoa version`: the versions of this command and what it runs on."""

import importlib.metadata
import platform

import typer

from cli import VERSION
from cli.invocation import current

app = typer.Typer()


@app.command()
def version() -> None:
    """Show the versions of the command, its interpreter and its libraries."""
    current().output.show(
        {
            "stoa": VERSION,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "grpcio": importlib.metadata.version("grpcio"),
            "protobuf": importlib.metadata.version("protobuf"),
        }
    )
