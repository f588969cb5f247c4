"""What every update shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from services.catalog.domain.resource import Resource
from services.catalog.ports.calls import Context
from services.kernel.etag import require_match
from services.kernel.names import Name

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Update:
    """A change of the fields of one resource.

    `sent` holds the values of the request by the first parts of their paths, None for what is
    not populated; `mask` the paths of the update mask.
    """

    name: Name
    etag: str
    mask: Sequence[str]
    sent: Mapping[str, Any]


def check_etag(sent: str, resource: Resource) -> None:
    """Compare the etag of a request.

    Raises:
        Aborted: ETAG_MISMATCH.
    """
    require_match(sent, resource.revision, uid=resource.uid, resource=resource.name)


def revised(resource: R, context: Context, **changes: Any) -> R:
    """Answer the resource after a change that a caller made now."""
    return replace(
        resource,
        **changes,
        revision=resource.revision + 1,
        policy_revision=context.access.revision,
        update_time=context.clock.now(),
    )
