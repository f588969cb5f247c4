"""What the commands that publish and change versions have in common."""

from google.longrunning.operations_pb2 import Operation
from stoa.catalog.v1 import image_version_pb2 as pb

from cli.invocation import current
from cli.output import Column, Record, note
from cli.verbs.ending import started
from cli.verbs.following import follow
from cli.verbs.words import last, spoken, state_column, value, word
from cli.waiting import result


def _regions_cell(record: Record) -> str:
    prefix = "REGIONAL_REPLICATION_STATE_"
    return ", ".join(
        f"{one.get('location', '')} {spoken(str(one.get('state', '')).removeprefix(prefix))}"
        for one in record.get("replicationStatus", {}).get("summary", ())
    )


COLUMNS = (
    Column("Name", last("name")),
    state_column(),
    Column("Published", "publishTime"),
    Column(
        "Replication", word("replicationStatus.aggregatedState", "AGGREGATED_REPLICATION_STATE_")
    ),
    Column("Regions", _regions_cell),
    Column("Excluded from latest", "excludeFromLatest"),
)


def changed_version(operation: Operation, *, no_wait: bool) -> None:
    """End a command that changes a version: with the version, once its operation is done."""
    if no_wait:
        started(operation)
        return
    if operation.name:
        note(f"Operation {operation.name}")
    current().output.show(result(follow(operation)), COLUMNS)


def wait_mode(word: str) -> pb.WaitMode.ValueType:
    """When an operation is done.

    Raises:
        UsageProblem: the word means nothing.
    """
    return value(pb.WaitMode, "WAIT_MODE_", word, option="--wait-for")


def fill_safety(message: pb.ImageVersion, *, guard: bool | None, block: bool | None) -> list[str]:
    """Set the safety flags that are said; answer their paths."""
    paths: list[str] = []
    for field, said in (
        ("allow_deletion_of_replicated_locations", guard),
        ("block_deletion_before_end_of_life", block),
    ):
        if said is not None:
            setattr(message.safety_profile, field, said)
            paths.append(f"safety_profile.{field}")
    return paths
