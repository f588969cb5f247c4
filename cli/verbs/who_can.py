"""`stoa who-can`: who may do something."""

from typing import Annotated, Any

import typer
from stoa.authz.v1 import access_pb2 as pb

from cli.connection import pages
from cli.invocation import current
from cli.output import Column
from cli.verbs import assigning as common
from cli.verbs.asking import Action, action_name, questions
from cli.verbs.options import MaxItems
from cli.verbs.words import last, word

app = typer.Typer()


def _who(record: Any) -> str:
    """A principal, or everybody with a right in a subscription that a gallery is open to."""
    principal = record.get("principal")
    return str(principal or f"everybody with the right in {record.get('subscription', '')}")


def _where(record: Any) -> str:
    """The scope of the assignment: its name less the last two segments."""
    name = record.get("roleAssignment") or record.get("eligibleAssignment") or ""
    above = "/".join(name.split("/")[:-2])
    return above or ("/" if name else "")


def _through(record: Any) -> str:
    return " > ".join(name.rpartition("/")[2] for name in record.get("viaGroups", ()))


_COLUMNS = (
    Column("Who", _who),
    Column("Through", _through),
    Column("Granted at", _where),
    Column("By", word("reason", "DECISION_REASON_")),
    Column("Assignment", last("roleAssignment")),
)


@app.command()
def who_can(
    action: Action,
    *,
    scope: common.Scope = None,
    expand_groups: Annotated[
        bool, typer.Option("--expand-groups", help="Who is in groups, in place of the groups.")
    ] = False,
    max_items: MaxItems = None,
) -> None:
    """List who may do something at a scope, with each grant that lets them.

    Needs the right to read role assignments there.
    """
    request = pb.ListSubjectsRequest(
        resource=common.scope_name(scope), action=action_name(action), expand_groups=expand_groups
    )
    found = pages(questions().ListSubjects, request, "subject_accesses", limit=max_items)
    current().output.list(found, _COLUMNS)
