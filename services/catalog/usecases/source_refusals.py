"""What is said of sources that cannot be used, whatever is to be made of them."""

from collections.abc import Sequence
from typing import Final

from services.catalog.domain import reasons
from services.catalog.domain.resource import ProvisioningState, Resource
from services.catalog.ports.sources import Inspection
from services.kernel.errors import NotFound, ResourceInfo
from services.kernel.violations import Violations

# What replication says of bytes, in the words of this contract; what else it may say is that
# nothing can be made of them yet.
_PROBLEMS: Final = {
    "SOURCE_FORMAT_INVALID": reasons.SOURCE_FORMAT_INVALID,
    "SOURCE_REFERENCE_REFUSED": reasons.SOURCE_FORMAT_INVALID,
}


def refuse(
    violations: Violations, reason: str, resource: str, problem: str, **metadata: str
) -> None:
    """Note a problem of a source, told as `{resource} {problem}`."""
    violations.precondition(
        reason,
        resource,
        f"{resource} {problem}",
        reason=reason,
        metadata={"resource": resource, **metadata},
    )


def check_place(resource: str, found: str, wanted: str, violations: Violations) -> None:
    """Note a source in another region than what is made of it; `wanted` is empty if not known."""
    if wanted and found != wanted:
        refuse(
            violations,
            reasons.SOURCE_LOCATION_MISMATCH,
            resource,
            f"is in {found}, and what is to be made of it in {wanted}",
            location=found,
        )


def check_ready(source: Resource, violations: Violations) -> None:
    """Note a source that is not SUCCEEDED."""
    if source.state is not ProvisioningState.SUCCEEDED:
        problem = f"is {source.state.value}"
        refuse(violations, reasons.SOURCE_NOT_READY, source.name, problem)


def check_bytes(resource: str, found: Inspection, violations: Violations) -> None:
    """Note bytes that no disk can be made of as they are."""
    if found.problem:
        refuse(
            violations,
            _PROBLEMS.get(found.problem, reasons.SOURCE_NOT_READY),
            resource,
            f"cannot be used as it is: {found.problem}",
            format=found.format.value,
        )


def missing(absent: Sequence[tuple[str, str]]) -> NotFound:
    """Build the error for sources that do not exist: pairs of a resource type and a name."""
    named = [name for _, name in absent]
    return NotFound(
        f"{', '.join(named)} does not exist",
        reason=reasons.SOURCE_NOT_FOUND,
        metadata={"resource": ",".join(named)},
        resource=ResourceInfo(absent[0][0], named[0]),
    )
