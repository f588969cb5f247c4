"""`--plan`: what a change of a version would move, take and cost, before it is made."""

from typing import Any

from stoa.catalog.v1 import image_version_requests_pb2 as requests
from stoa.catalog.v1.image_version_service_pb2_grpc import ImageVersionServiceStub

from cli.invocation import current
from cli.output import Column, Format, Record, at, human_bytes, note
from cli.verbs.ending import started
from cli.verbs.words import word
from cli.waiting import result, wait


def planned(request: requests.PlanImageVersionRequest, *, no_wait: bool) -> None:
    """End a command that was asked for a plan: with a row for each region."""
    stub = current().connection.stub("catalog", ImageVersionServiceStub)
    operation = stub.PlanImageVersion(request)
    if no_wait:
        started(operation)
        return
    plan = result(wait(current().connection, operation))
    output = current().output
    if output.format in {Format.JSON, Format.JSONL, Format.NONE}:
        output.show(plan)
        return
    output.list(plan.regions, _COLUMNS)
    note(_together(plan))


def _together(plan: Any) -> str:
    total = plan.total
    parts = [
        f"{human_bytes(total.written_bytes)} to write",
        f"{human_bytes(total.crossing_bytes)} to cross between regions",
        f"{human_bytes(total.deduplicated_bytes)} there already",
    ]
    if total.freed_bytes:
        parts.append(f"{human_bytes(total.freed_bytes)} to free")
    if plan.HasField("expected_duration"):
        parts.append(f"about {plan.expected_duration.seconds} s")
    if plan.HasField("cost"):
        parts.append(f"{_money(plan.cost.crossing)} once")
        parts.append(f"{_money(plan.cost.monthly_storage)} each month")
    exact = "" if plan.exact else " at most"
    return f"All regions{exact}: {', '.join(parts)}. Nothing was changed."


def _bytes(heading: str, name: str) -> Column:
    return Column(heading, lambda record: human_bytes(int(at(record, f"bytes.{name}") or 0)))


def _replicas(record: Record) -> str:
    before, after = (record.get(f"{one}ReplicaCount", 0) for one in ("current", "wanted"))
    return str(after) if before == after else f"{before} -> {after}"


def _cost(name: str) -> Any:
    def read(record: Record) -> str:
        found = at(record, f"cost.{name}")
        if found is None:
            return ""
        return _amount(int(found.get("micros", 0)), str(found.get("currencyCode", "")))

    return read


def _money(found: Any) -> str:
    return _amount(found.micros, found.currency_code)


def _amount(micros: int, currency: str) -> str:
    whole, rest = divmod(micros, 1_000_000)
    return f"{whole}.{rest:06} {currency}"


def _figures(record: Record) -> str:
    return "exact" if record.get("exact") else "at most"


_COLUMNS = (
    Column("Region", "location"),
    Column("Action", word("action", "PLANNED_ACTION_")),
    Column("Replicas", _replicas),
    _bytes("Write", "writtenBytes"),
    _bytes("There already", "deduplicatedBytes"),
    _bytes("Zero", "zeroBytes"),
    _bytes("Cross", "crossingBytes"),
    Column("From", "sourceLocation"),
    Column("Figures", _figures),
    Column("Time", "expectedDuration"),
    Column("Once", _cost("crossing")),
    Column("Each month", _cost("monthlyStorage")),
    Column("Obstacle", "obstacle.message"),
)
