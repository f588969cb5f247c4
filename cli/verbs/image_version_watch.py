"""`stoa image-version watch`: follows the replication of a version."""

from typing import Annotated, Final

import typer
from stoa.replication.v1.replication_pb2 import RegionReplication, Replication
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub
from stoa.replication.v1.replication_watch_pb2 import RegionFailure, WatchReplicationResponse

from cli.errors import CliError, ExitCode, UsageProblem
from cli.invocation import current
from cli.output import Format, Output, note
from cli.transfer.progress import view
from cli.verbs import names
from cli.verbs.options import Subscription
from cli.verbs.region_progress import RegionBoard
from cli.verbs.watching import Watch
from cli.verbs.words import spoken

_BAD_ENDS: Final = frozenset(
    {Replication.STATE_FAILED, Replication.STATE_CANCELLED, Replication.STATE_SUPERSEDED}
)


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
    outcome = _Outcome()
    if current().options.output in {Format.JSON, Format.JSONL}:
        _print(following, outcome)
    else:
        _draw(following, outcome)
    outcome.conclude()


class _Outcome:
    """How a replication ended, from its last events."""

    def __init__(self) -> None:
        self._state = Replication.STATE_UNSPECIFIED
        self._failures: tuple[str, ...] = ()

    def take(self, event: WatchReplicationResponse) -> None:
        """Take an event; a snapshot of what is over already tells the end, too."""
        if event.HasField("end"):
            self._state = event.end.state
            self._failures = tuple(_failure(one) for one in event.end.failed_regions)
        elif event.HasField("snapshot"):
            found = event.snapshot.replication
            self._state = found.state
            self._failures = tuple(_failure(one) for one in found.regions if one.HasField("cause"))

    def conclude(self) -> None:
        """Tell the end.

        Raises:
            CliError: it is not success.
        """
        state = spoken(Replication.State.Name(self._state).removeprefix("STATE_"))
        if self._state == Replication.STATE_COMPLETED:
            note(f"The replication ended: {state}")
        elif self._state in _BAD_ENDS:
            raise CliError(
                f"The replication ended: {state}", why=self._failures, code=ExitCode.CONFLICT
            )


def _failure(region: RegionFailure | RegionReplication) -> str:
    return f"{region.location}: {region.cause.status.message}"


def _print(following: Watch, outcome: _Outcome) -> None:
    lines = Output(Format.JSONL)
    for event in following:
        outcome.take(event)
        lines.show(event)
        # Whoever reads a pipe wants an event when it happens.
        lines.stream.flush()


def _draw(following: Watch, outcome: _Outcome) -> None:
    board = RegionBoard()
    with view() as shown:
        for event in following:
            outcome.take(event)
            for line in board.apply(event):
                shown.show(line)
