"""`stoa worker`: copies images, beside the services or on another machine."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.options import Data
from cli.installation.writing import data_of
from cli.output import note

app = typer.Typer()


@app.command()
def worker(
    *,
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region", "-l", help="A region to copy into; may be repeated. [default: all]"
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=64, help="How many processes.")] = 1,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Configuration of the services. [default: that of this machine]"
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Copy images into regions until told to stop, in processes of their own.

    Workers take over from one another: what one leaves unfinished, another one goes on with. They
    reach the database of the replication service, authz, and the stores of their regions.
    """
    if config is None:
        layout = data_of(data)
        layout.read_client()
        config = layout.config
    environ = {**os.environ, "PYTHONSAFEPATH": "1", "STOA_REPLICATION_WORKERS": str(count)}
    if region:
        environ["STOA_REPLICATION_WORKER_REGIONS"] = ",".join(region)
    note(f"Copying into {', '.join(region or ['all regions'])}. Press Ctrl-C to stop.")
    sys.stderr.flush()
    command = [sys.executable, "-m", "services.replication", "--config", str(config.resolve())]
    # It becomes the parent of the workers itself, so that signals reach whom they are meant for.
    os.execve(command[0], [*command, "--only", "workers"], environ)  # noqa: S606
