"""How commands that start an operation end: waiting for it, or naming it."""

from google.longrunning.operations_pb2 import Operation

from cli.invocation import current
from cli.output import Column, note
from cli.waiting import wait

OPERATION_COLUMNS = (
    Column("Name", "name"),
    Column("Done", lambda record: bool(record.get("done"))),
    Column("Verb", "metadata.verb"),
    Column("Target", "metadata.target"),
    Column("Error", "error.message"),
)


def started(operation: Operation) -> None:
    """Print an operation that nobody waits for here."""
    current().output.show(operation, OPERATION_COLUMNS)


def deleted(operation: Operation, name: str, *, no_wait: bool) -> None:
    """End a command that deletes `name`."""
    if no_wait:
        started(operation)
        return
    wait(current().connection, operation)
    note(f"Deleted {name}")
