"""`stoa audit`: who did what, and the proof that nothing was changed afterwards."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer
from stoa.authz.v1 import audit_service_pb2 as pb
from stoa.authz.v1.audit_record_pb2 import AuditRecord
from stoa.authz.v1.audit_service_pb2_grpc import AuditServiceStub

from cli.audit_log import AuditChain
from cli.connection import pages
from cli.errors import CliError, UsageProblem
from cli.invocation import current
from cli.output import Column
from cli.verbs.options import Filter, MaxItems
from cli.verbs.principals import Tenant, tenant_name
from cli.verbs.words import last, word

app = typer.Typer(no_args_is_help=True)

_COLUMNS: Final = (
    Column("Time", "eventTime"),
    Column("Caller", last("caller")),
    Column("Method", last("method")),
    Column("Resource", "resource"),
    Column("Outcome", word("outcome", "OUTCOME_")),
)
Everything = Annotated[
    bool, typer.Option("--installation", help="The log of the installation, not of a tenant.")
]


def _stub() -> AuditServiceStub:
    return current().connection.stub("authz", AuditServiceStub)


@app.command(name="list")
def list_(
    *,
    scope: Annotated[
        str, typer.Option(help="A subscription, a tenant or /. [default: the caller's tenant]")
    ] = "",
    filter: Filter = "",
    max_items: MaxItems = None,
) -> None:
    """List what was done, the newest first."""
    request = pb.ListAuditRecordsRequest(parent=scope or tenant_name(None), filter=filter)
    found = pages(_stub().ListAuditRecords, request, "audit_records", limit=max_items)
    current().output.list(found, _COLUMNS)


@app.command()
def verify(
    *,
    tenant: Tenant = None,
    installation: Everything = False,
    known: Annotated[
        str, typer.Option(help="SEQUENCE:DIGEST that an earlier verification printed.")
    ] = "",
) -> None:
    """Prove that no record was changed or taken out; keep what it prints for the next time."""
    if installation and tenant:
        raise UsageProblem("Either --tenant or --installation.")
    remembered = _known(known)
    parent = "/" if installation else tenant_name(tenant)
    chain = AuditChain()
    chain.take(_records(parent))
    if chain.missing():
        # What was recorded while the pages were read may lie before the page that was next.
        chain.take(_records(parent))
    problems = list(chain.problems(remembered))
    if problems:
        raise CliError(
            f"The audit log of {parent} was changed.",
            why=(*problems[:20], *([f"and {len(problems) - 20} more"] if problems[20:] else [])),
            todo="Keep the database as it is, and compare it with a backup",
        )
    sequence, digest = chain.newest
    current().output.show(
        {"parent": parent, "records": len(chain), "known": f"{sequence}:{digest}"},
        (Column("Log", "parent"), Column("Records", "records"), Column("Newest", "known")),
    )


def _records(parent: str) -> Iterator[AuditRecord]:
    request = pb.ListAuditRecordsRequest(parent=parent, page_size=1000, order_by="event_time")
    for one in pages(_stub().ListAuditRecords, request, "audit_records"):
        # The list of the installation holds those of all tenants, whose chains are their own.
        if parent != "/" or one.name.startswith("auditRecords/"):
            yield one


def _known(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    sequence, _, digest = text.partition(":")
    if not sequence.isdecimal() or len(digest) != 64:
        raise UsageProblem(f"{text} is no value of --known", todo="Say SEQUENCE:DIGEST")
    return int(sequence), digest
