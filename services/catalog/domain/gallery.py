"""Galleries, and how they are shared."""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.catalog.domain.resource import Resource


class SharingMode(enum.Enum):
    """How a gallery can be shared."""

    PRIVATE = "PRIVATE"
    GROUPS = "GROUPS"
    COMMUNITY = "COMMUNITY"


@dataclass(frozen=True, slots=True)
class Consumers:
    """Names of subscriptions and tenants, each list in the order of its keys."""

    subscriptions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.subscriptions or self.tenants)


@dataclass(frozen=True, slots=True)
class CommunityTexts:
    """What the public is told of a community gallery and its publisher."""

    publisher_uri: str = ""
    publisher_contact: str = ""
    eula: str = ""
    privacy_statement_uri: str = ""
    public_name_prefix: str = ""


class ShareOperation(enum.Enum):
    """A step in the sharing of a gallery."""

    ADD = "ADD"
    REMOVE = "REMOVE"
    ENABLE_COMMUNITY = "ENABLE_COMMUNITY"
    DISABLE_COMMUNITY = "DISABLE_COMMUNITY"
    BLOCK_CONSUMER = "BLOCK_CONSUMER"
    UNBLOCK_CONSUMER = "UNBLOCK_CONSUMER"
    RESET = "RESET"


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A step, with the consumers that it concerns."""

    operation: ShareOperation
    consumers: Consumers = Consumers()


class SharingState(enum.Enum):
    """How far a change of sharing has come."""

    SUCCEEDED = "SUCCEEDED"
    IN_PROGRESS = "IN_PROGRESS"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class PendingShare:
    """A change of sharing that is committed here and not yet known to be in the policy.

    `request_id` is that under which the sharing service is called, again and again, until it
    answers. `wanted` is the sharing after it; versions that are created meanwhile obey it.
    `change` is None where the policy is only to learn what else is said of the gallery. `caller`
    is the principal on whose behalf it is made.
    """

    request_id: str
    change: ShareChange | None
    wanted: "Sharing"
    start_time: datetime
    caller: str = ""
    simulation_digest: str = ""


@dataclass(frozen=True, slots=True)
class Sharing:
    """With whom a gallery is shared, as last agreed with the policy.

    `sequence` counts the changes of one gallery, under the lock of its row: the policy takes
    none that is older than what it has. `public_name` is given when the mode becomes COMMUNITY.
    `failure` tells why the last change was given up, when nobody was there to be told.
    """

    mode: SharingMode = SharingMode.PRIVATE
    groups: Consumers = Consumers()
    blocked: Consumers = Consumers()
    texts: CommunityTexts = CommunityTexts()
    public_name: str = ""
    community_enabled: bool = False
    sequence: int = 0
    policy_revision: int = 0
    consistency_token: str = ""
    failure: str = ""

    @property
    def shared(self) -> bool:
        """Whether anybody is let in besides those who hold roles."""
        return bool(self.groups) or self.community_enabled


@dataclass(frozen=True, slots=True)
class SoftDeletePolicy:
    """Whether deleted versions can be had back, and for how long they can be used and had."""

    enabled: bool = False
    retention: timedelta = timedelta(days=7)
    grace: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery(Resource):
    """A gallery of image definitions.

    `shared_id` is the id of its direct-shared view; it tells neither subscription nor name.
    """

    shared_id: str
    description: str = ""
    allow_copy: bool = False
    soft_delete: SoftDeletePolicy | None = None
    sharing: Sharing = Sharing()
    pending: PendingShare | None = None

    @property
    def sharing_state(self) -> SharingState:
        """How far the last change of its sharing has come."""
        if self.pending is not None:
            return SharingState.IN_PROGRESS
        return SharingState.FAILED if self.sharing.failure else SharingState.SUCCEEDED

    @property
    def effective_mode(self) -> SharingMode:
        """The mode that new definitions and versions obey: the stricter one while one is pending.

        What a RESET takes back is still seen until the policy has it.
        """
        if self.pending is None or self.pending.wanted.mode is SharingMode.PRIVATE:
            return self.sharing.mode
        return self.pending.wanted.mode
