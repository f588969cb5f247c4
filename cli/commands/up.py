"""`stoa up`: starts the three services on this machine."""

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from cli.commands.options import Data, DatabaseUrls, Owner, Ports, Tls, by_service
from cli.installation import ports as port_plan
from cli.installation import running
from cli.installation.layout import SERVICES, Layout, default_data
from cli.installation.writing import choices_of, data_of, locked, write
from cli.output import note

app = typer.Typer()


@app.command()
def up(
    *,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave them running; stop with `stoa down`.")
    ] = False,
    data: Data = None,
    ports: Ports = None,
    database_url: DatabaseUrls = None,
    owner: Owner = None,
    tls: Tls = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds that each service has until it is ready.")
    ] = running.READY_TIMEOUT,
) -> None:
    """Start catalog, replication and authz here, and write what they need the first time.

    Without -d they run until Ctrl-C.
    """
    layout = data_of(data)
    _end_like_ctrl_c()
    with locked(layout):
        if len(found := running.running(layout)) == len(SERVICES):
            pids = ", ".join(f"{service} {one.pid}" for service, one in found.items())
            note(f"It runs already in {layout.data} (pids: {pids}). Stop it with: stoa down")
            return
        given = {
            "ports": None if ports is None else port_plan.parse(ports, choices_of(layout)),
            "database_urls": by_service("--database-url", database_url),
            "owner": owner,
            "tls": tls,
        }
        choices = write(layout, given)
        note(f"Starting the services, data in {layout.data}")
        services = running.start(layout, choices, tell=note, timeout=timeout)
    if detach:
        _tell_next(layout, data)
        return
    try:
        _tell_next(layout, data)
        note("Press Ctrl-C to stop.")
        failed = running.watch(layout, services)
    except KeyboardInterrupt:
        note("")
        running.stop(layout, tell=note)
        return
    running.stop(layout, tell=note)
    raise failed


def _end_like_ctrl_c() -> None:
    """A service manager that sends SIGTERM wants what Ctrl-C does."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _tell_next(layout: Layout, data: Path | None) -> None:
    client = layout.read_client()
    if data is not None and layout.data != Layout(default_data()).data:
        note(f"For other commands: export STOA_HOME={layout.data}")
    note(f"You are {client.owner}, owner of tenant {client.tenant}. Try: stoa status, stoa --help")
