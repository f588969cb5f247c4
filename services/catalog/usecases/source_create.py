"""What the creations of all kinds of sources share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.catalog.domain import names
from services.catalog.domain.region import Region
from services.catalog.domain.resource import Resource
from services.catalog.domain.resource_group import ResourceGroup
from services.catalog.ports.calls import Context, Regions, Subscriptions
from services.catalog.ports.sources import Sources
from services.catalog.ports.transaction import Transact, Tx
from services.catalog.usecases import checks, linked, source_holds
from services.catalog.usecases.linked import Demand
from services.catalog.usecases.source_types import SourceType
from services.kernel.ids import new_uid
from services.kernel.names import Name
from services.kernel.violations import Violations

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class World:
    """What creations ask, beside the policy: `look` runs what only reads before the change."""

    subscriptions: Subscriptions
    regions: Regions
    sources: Sources
    look: Transact


@dataclass(frozen=True, slots=True)
class NewSource:
    """A source to be made in a resource group; `location` is spelled as it was sent."""

    parent: Name
    id: str
    location: str
    tags: Mapping[str, str]


class Creation:
    """The creation of one source: the rights, the place, and at the end the row.

    It is told of everything that is wrong through the violations of the call.
    """

    def __init__(
        self,
        kind: SourceType,
        new: NewSource,
        context: Context,
        world: World,
        *,
        path: str,
        linked_demands: Sequence[Demand] = (),
    ) -> None:
        """Demand all rights in one decision; `path` is the source's field of the request.

        Raises:
            PermissionDenied: LINKED_PERMISSION_DENIED for what is referred to.
            Unavailable: the region is not mirrored, and replication does not answer.
        """
        self._kind: Final = kind
        self._new: Final = new
        self._context: Final = context
        linked.authorize(Demand(kind.write, new.parent.text, "parent"), linked_demands, context)
        violations = context.violations
        self._info: Final = checks.subscription(world.subscriptions, new.parent.text, violations)
        self.region: Final[Region | None] = checks.find_region(
            new.location, f"{path}.location", world.regions, violations
        )

    def group(self, tx: Tx, violations: Violations) -> ResourceGroup:
        """Answer the resource group.

        Raises:
            InvalidArgument, FailedPrecondition: what is wrong anyway.
            NotFound: PARENT_NOT_FOUND.
        """
        group = tx.groups.get(self._new.parent.key, share=True)
        if self._info is None or group is None:
            parent = self._new.parent.text
            raise checks.parent_missing(names.RESOURCE_GROUP_TYPE, parent, violations)
        return group

    def common(self, group: ResourceGroup) -> dict[str, Any]:
        """Answer the fields that every resource has."""
        if self.region is None:
            raise AssertionError("a region that is not known is a violation")
        now = self._context.clock.now()
        return {
            "name": f"{group.name}/{self._kind.collection}/{self._new.id}",
            "uid": new_uid(),
            "location": self.region.id,
            "create_time": now,
            "update_time": now,
            "policy_revision": self._context.access.revision,
            "tags": self._new.tags,
        }

    def add(self, tx: Tx, group: ResourceGroup, source: R) -> R:
        """Add the source, and the message that holds its blobs.

        Raises:
            Aborted: the group is being deleted.
            AlreadyExists: RESOURCE_EXISTS or LOCATION_CONFLICT.
        """
        checks.not_going(tx, group)
        existing = self._kind.rows(tx).get(source.key)
        if existing is not None:
            raise checks.taken(self._kind.resource_type, source.location, existing)
        return source_holds.add(tx, source)
