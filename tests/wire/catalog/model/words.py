"""The words of the contract that the rules are about, named as on the wire."""

import enum


class _Word(enum.Enum):
    def __repr__(self) -> str:
        return self.name


class Storage(_Word):
    """What replicas are kept on."""

    UNSPECIFIED = "what the version says"
    STANDARD_LRS = "standard"
    STANDARD_ZRS = "standard, over zones"
    PREMIUM_LRS = "premium"


class RegionState(_Word):
    """How far the copies of a version are in a region."""

    PENDING = "wanted, not begun"
    REPLICATING = "being copied"
    COMPLETED = "as many good replicas as are wanted"
    DEGRADED = "fewer"
    FAILED = "given up"
    CANCELLED = "cancelled on request"
    REMOVING = "being removed"
    REMOVED = "removed"


# What ends the work of a generation in a region.
TERMINAL = frozenset(
    {RegionState.COMPLETED, RegionState.DEGRADED, RegionState.FAILED, RegionState.CANCELLED}
)


class Aggregate(_Word):
    """All regions of a version together."""

    IN_PROGRESS = "one is not done, none failed"
    COMPLETED = "all are"
    FAILED = "one is"


class Provisioning(_Word):
    """What is being done to a resource, or to a region of a version."""

    CREATING = "being made"
    UPDATING = "being changed"
    SUCCEEDED = "as its owner wants it"
    FAILED = "the last change failed"
    DELETING = "being deleted"


class Wait(_Word):
    """When an operation is done."""

    UNSPECIFIED = "as ALL_REGIONS"
    ACCEPTED = "at once"
    HOME_REGION = "when the home region is"
    ALL_REGIONS = "when every region named or touched is"


class Etag(_Word):
    """The etag that is sent along."""

    NONE = "no etag"
    CURRENT = "the one that a read answers now"
    STALE = "the one from before the last change, or one that never was"
