"""`stoa token`: tokens of the installation's own issuer, or of whoever is signed in."""

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from cli import contexts
from cli.errors import UsageProblem
from cli.installation.identity import AUDIENCES, OWNER_TTL, make_token
from cli.installation.layout import Layout, default_data
from cli.invocation import current

app = typer.Typer()

_DURATION = re.compile(r"(\d+)([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command()
def token(
    *,
    subject: Annotated[
        str, typer.Option(help="Object id of the principal. [default: the first owner]")
    ] = "",
    tenant: Annotated[str, typer.Option(help="Its tenant. [default: the first tenant]")] = "",
    audience: Annotated[
        list[str], typer.Option(help="Services that take it; may be repeated.")
    ] = list(AUDIENCES),  # noqa: B006 Typer copies it
    ttl: Annotated[str, typer.Option(help="How long it is valid: 30m, 8h, 1d.")] = f"{OWNER_TTL}s",
    data: Annotated[Path | None, typer.Option(help="Data directory of the installation.")] = None,
) -> None:
    """Print a token: one made for the installation here, or that of the context elsewhere.

    With grpcurl: grpcurl -H "authorization: Bearer $(stoa token)" ...
    """
    context = contexts.chosen(current().options.context)
    if context.endpoints and not context.data and not (subject or tenant or data):
        current().output.text(current().target.token())
        return
    layout = Layout(data or (Path(context.data) if context.data else default_data()))
    client = layout.read_client()
    current().output.text(
        make_token(
            layout,
            subject=subject or client.owner,
            tenant=tenant or client.tenant,
            audiences=tuple(audience),
            ttl=seconds(ttl),
        )
    )


def seconds(text: str) -> int:
    """Read a duration.

    Raises:
        UsageProblem: it is none, or no time at all.
    """
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise UsageProblem(f"{text} is no duration.", todo="Write it as 90s, 30m, 8h or 1d.")
    return int(found[1]) * _SECONDS[found[2]]
