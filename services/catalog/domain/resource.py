"""What every resource of the catalog has."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from services.kernel.etag import etag_of
from services.kernel.names import key


def _no_tags() -> Mapping[str, str]:
    return MappingProxyType({})


class ProvisioningState(enum.Enum):
    """What is being done to a resource."""

    CREATING = "CREATING"
    UPDATING = "UPDATING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    DELETING = "DELETING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A stored resource.

    `name` keeps the spelling of its creation. `revision` counts the changes that callers made;
    what the service does by itself, such as copying, leaves it alone, so that nobody's etag goes
    stale over it. `policy_revision` is the revision of the policy that allowed the last change.
    """

    name: str
    uid: str
    location: str
    create_time: datetime
    update_time: datetime
    revision: int = 1
    policy_revision: int = 0
    state: ProvisioningState = ProvisioningState.SUCCEEDED
    tags: Mapping[str, str] = field(default_factory=_no_tags)

    @property
    def key(self) -> str:
        """What the name is compared by."""
        return key(self.name)

    @property
    def etag(self) -> str:
        """The etag of this revision."""
        return etag_of(self.revision, self.uid)

    @property
    def deleting(self) -> bool:
        """Whether it is on its way out."""
        return self.state is ProvisioningState.DELETING
