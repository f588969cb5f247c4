"""Options that several commands about an installation take."""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import UsageProblem
from cli.installation.layout import SERVICES

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Data directory. [default: $STOA_HOME, or the user's state directory]"
    ),
]
Ports = Annotated[
    str | None,
    typer.Option(
        "--ports",
        help="auto (free ones), a base (7400 gives 7401 to 7413), or catalog=8401,authz=8403.",
    ),
]
Owner = Annotated[str | None, typer.Option(help="Object id of the first owner. [default: owner]")]
Tls = Annotated[
    bool | None,
    typer.Option("--tls/--no-tls", help="TLS for clients on loopback as well. [default: no]"),
]
DatabaseUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--database-url", help="SERVICE=URL; may be repeated. [default: SQLite in --data]"
    ),
]

Services = Annotated[
    list[str] | None,
    typer.Option("--service", help="Which service; may be repeated. [default: all]"),
]


def chosen(services: list[str] | None) -> list[str]:
    """The services that were named, or all of them.

    Raises:
        UsageProblem: one is no service.
    """
    for service in services or ():
        if service not in SERVICES:
            raise UsageProblem(
                f"{service} is no service.", todo=f"Services are: {', '.join(SERVICES)}"
            )
    return services or list(SERVICES)


def by_service(option: str, given: list[str] | None) -> dict[str, str] | None:
    """Read `catalog=value` pairs.

    Raises:
        UsageProblem: one names no service, or has no value.
    """
    if not given:
        return None
    found = {}
    for pair in given:
        service, _, value = pair.partition("=")
        if service not in SERVICES or not value:
            raise UsageProblem(
                f"{pair} is no value of {option}.",
                todo=f"Say {option} SERVICE=VALUE, with a service of {', '.join(SERVICES)}",
            )
        found[service] = value
    return found
