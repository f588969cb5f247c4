"""`stoa image-version watch`: follows the replication of a version."""

from typing import Annotated

import typer
from stoa.replication.v1.replication_pb2 import Replication
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.replication.v1.replication_watch_pb2 import ReplicationEnd

from cli.errors import CliError, ExitCode, UsageProblem
from cli.invocation import current
from cli.output import Format, note
from cli.transfer.progress import view
from cli.verbs import names
from cli.verbs.options import Subscription
from cli.verbs.region_progress import RegionBoard
from cli.verbs.watching import Watch
from cli.verbs.words import spoken


def watch(
    *,
    resource_group: Annotated[
        str, typer.Option("--resource-group", "-g", help="The resource group.")
    ] = "",
    gallery_name: Annotated[str, typer.Option("--gallery-name", "-r", help="The gallery.")] = "",
    definition: Annotated[
        str, typer.Option("--gallery-image-definition", "-i", help="The definition.")
    ] = "",
    version: Annotated[
        str, typer.Option("--gallery-image-version", "-e", help="The version.")
    ] = "",
    replication: Annotated[str, typer.Option(help="Instead: a replication, replications/ID.")] = "",
    after_sequence: Annotated[
        int | None, typer.Option(min=0, help="Go on after this event of --replication.")
    ] = None,
    subscription: Subscription = None,
) -> None:
    """Show how a version spreads until its replication ends; with -o jsonl every event."""
    if not replication and not (resource_group and gallery_name and definition and version):
        raise UsageProblem("Which version?", todo="Say -g, -r, -i and -e, or --replication")
    if after_sequence is not None and not replication:
        raise UsageProblem("--after-sequence needs --replication.")
    name = replication or names.version(
        subscription, resource_group, gallery_name, definition, number=version
    )
    stub = current().connection.stub("replication", ReplicationServiceStub)
    following = Watch(stub, name, after_sequence=after_sequence)
    if current().options.output in {Format.JSON, Format.JSONL}:
        end = _print(following)
    else:
        end = _draw(following)
    _conclude(end)


def _print(following: Watch) -> ReplicationEnd | None:
    from cli.output import Output

    end = None
    lines = Output(Format.JSONL)
    for event in following:
        lines.show(event)
        # Whoever reads a pipe wants an event when it happens.
        lines.stream.flush()
        end = event.end if event.HasField("end") else None
    return end


def _draw(following: Watch) -> ReplicationEnd | None:
    end = None
    board = RegionBoard()
    with view() as shown:
        for event in following:
            for line in board.apply(event):
                shown.show(line)
            end = event.end if event.HasField("end") else None
    return end


def _conclude(end: ReplicationEnd | None) -> None:
    if end is None:
        return
    state = spoken(Replication.State.Name(end.state).removeprefix("STATE_"))
    if end.state == Replication.STATE_COMPLETED:
        note(f"The replication ended: {state}")
        return
    raise CliError(
        f"The replication ended: {state}",
        why=tuple(f"{one.location}: {one.cause.status.message}" for one in end.failed_regions),
        code=ExitCode.CONFLICT,
    )
