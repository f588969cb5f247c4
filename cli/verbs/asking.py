"""What the commands that ask about access have in common."""

from typing import Annotated, Final

import typer
from stoa.authz.v1 import decision_pb2
from stoa.authz.v1.authorization_service_pb2_grpc import AuthorizationServiceStub

from cli.invocation import current
from cli.verbs.principals import principal_name

Action = Annotated[
    str,
    typer.Argument(
        help="An action: Microsoft.Compute/galleries/read, or galleries/read for short.",
        show_default=False,
    ),
]
Assignee = Annotated[
    str, typer.Option("--assignee", help="About this principal. [default: the caller]")
]
_PROVIDER: Final = "Microsoft.Compute/"


def questions() -> AuthorizationServiceStub:
    """The service that is asked."""
    return current().connection.stub("authz", AuthorizationServiceStub)


def action_name(given: str) -> str:
    """An action, whose provider may have been left out."""
    return given if "." in given.partition("/")[0] else f"{_PROVIDER}{given}"


def subject(given: str, tenant: str | None) -> decision_pb2.Subject | None:
    """Whom a question is about, None for the caller.

    Raises:
        UsageProblem: nobody says the tenant.
    """
    if not given:
        return None
    # An id is one of its tenant, whatever it is the id of.
    owner, _, own_id = principal_name(given, "User", tenant).rsplit("/", 2)
    return decision_pb2.Subject(tenant=owner, principal_id=own_id)
