"""Tenants and principals, from what the options of a command say."""

import base64
import json
from typing import Annotated, Any, Final

import typer

from cli.errors import UsageProblem
from cli.invocation import current

Tenant = Annotated[
    str | None, typer.Option("--tenant", help="The tenant. [default: that of the caller]")
]

_COLLECTIONS: Final = {
    "user": "users",
    "group": "groups",
    "serviceprincipal": "servicePrincipals",
}


def tenant_name(given: str | None) -> str:
    """`tenants/{t}`, of the option or of the token that calls are made with.

    Raises:
        UsageProblem: the token does not say.
    """
    found = given or _of_token(current().target.token())
    if not found:
        raise UsageProblem("Which tenant?", todo="Say --tenant NAME")
    return f"tenants/{found.removeprefix('tenants/')}"


def principal_name(given: str, kind: str, tenant: str | None) -> str:
    """The name of a principal; an id alone is one of `kind` in the tenant.

    Raises:
        UsageProblem: `kind` is none of User, Group and ServicePrincipal.
    """
    if given.startswith("tenants/"):
        return given
    collection = _COLLECTIONS.get(kind.replace("_", "").replace("-", "").casefold())
    if collection is None:
        raise UsageProblem(
            f"{kind} is no kind of principal.", todo="Say User, Group or ServicePrincipal"
        )
    return f"{tenant_name(tenant)}/{collection}/{given}"


def _of_token(token: str) -> str:
    """The tenant that a JWT is of; whether it is valid is for the services to say."""
    try:
        part = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return str(claims["tid"])
    except (IndexError, ValueError, KeyError, TypeError):
        return ""
