"""`stoa explain`: why somebody may do something, or why not."""

from typing import Annotated

import typer
from stoa.authz.v1 import decision_pb2
from stoa.authz.v1 import explanation_pb2 as pb

from cli.errors import UsageProblem
from cli.invocation import current
from cli.output import Format
from cli.verbs import assigning as common
from cli.verbs.asking import Assignee, action_name, questions, subject
from cli.verbs.principals import Tenant

app = typer.Typer()


@app.command()
def explain(
    action: Annotated[
        str,
        typer.Argument(
            help="An action: Microsoft.Compute/galleries/write, or galleries/write for short.",
            show_default=False,
        ),
    ] = "",
    *,
    scope: common.Scope = None,
    assignee: Assignee = "",
    tenant: Tenant = None,
    decision_id: Annotated[
        str, typer.Option(help="A decision made before, in place of an action.")
    ] = "",
) -> None:
    """Tell why somebody may do something, or what is missing and who could give it.

    What you may not read of it is left out, and counted.
    """
    if bool(action) is bool(decision_id):
        raise UsageProblem("Either an action or --decision-id.")
    request = pb.ExplainRequest(decision_id=decision_id)
    if action:
        request = pb.ExplainRequest(
            item=decision_pb2.CheckItem(
                action=action_name(action),
                resource=common.scope_name(scope),
                subject=subject(assignee, tenant),
            )
        )
    found = questions().Explain(request)
    output = current().output
    if output.format is not Format.TABLE:
        output.show(found)
        return
    from cli.verbs.explained import lines

    for line in lines(found):
        output.text(line)
