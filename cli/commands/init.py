"""`stoa init`: writes a data directory and starts nothing."""

import ipaddress
from typing import Annotated

import typer

from cli.commands.options import Data, DatabaseUrls, Owner, Ports, Tls, by_service
from cli.errors import UsageProblem
from cli.installation import ports as port_plan
from cli.installation.writing import choices_of, data_of, locked, write
from cli.invocation import current
from cli.output import note

app = typer.Typer()


@app.command()
def init(
    *,
    data: Data = None,
    ports: Ports = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="SERVICE=NAME under which others reach it; may be repeated."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(help="Address of all listeners. Beyond loopback clients need TLS."),
    ] = None,
    database_url: DatabaseUrls = None,
    owner: Owner = None,
    tls: Tls = None,
    tenant: Annotated[str | None, typer.Option(help="Its tenant. [default: default]")] = None,
    subscription: Annotated[
        str | None, typer.Option(help="The first subscription. [default: default]")
    ] = None,
) -> None:
    """Write keys, certificates and config.toml for the three services.

    May be repeated: keys stay, and what is not said stays as it was.
    """
    layout = data_of(data)
    if listen is not None:
        _check_address(listen)
    with locked(layout):
        given = {
            "ports": None if ports is None else port_plan.parse(ports, choices_of(layout)),
            "hosts": by_service("--host", host),
            "listen": listen,
            "database_urls": by_service("--database-url", database_url),
            "owner": owner,
            "tls": tls,
            "tenant": tenant,
            "subscription": subscription,
        }
        write(layout, given)
    note(f"The installation is written in {layout.data}")
    client = layout.read_client()
    current().output.show(
        {
            "data": str(layout.data),
            "config": str(layout.config),
            **client.endpoints,
            "caFile": client.ca_file,
            "tenant": client.tenant,
            "subscription": client.subscription,
            "owner": client.owner,
        }
    )


def _check_address(listen: str) -> None:
    if listen == "localhost":
        return
    try:
        ipaddress.ip_address(listen)
    except ValueError:
        raise UsageProblem(
            f"{listen} is no address.", todo="Say --listen 127.0.0.1 or --listen 0.0.0.0"
        ) from None
