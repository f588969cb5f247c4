"""The actions that may be asked about (authorization.md 1.2, Requested action).

Roles are written in patterns, questions are asked in concrete actions that are listed
here. A question about anything else is malformed: it is not allowed because some role
holds `*`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from services.kernel.names import fold
from services.policy.model import Plane


class ActionRegistry:
    """Known actions, by their folded spelling."""

    __slots__ = ("_folded", "_spelled")

    def __init__(self, control: Iterable[str], data: Iterable[str] = ()) -> None:
        named = {Plane.CONTROL: tuple(control), Plane.DATA: tuple(data)}
        self._folded: Mapping[Plane, Mapping[str, str]] = MappingProxyType(
            {
                plane: MappingProxyType({fold(action): action for action in actions})
                for plane, actions in named.items()
            }
        )
        # Asked once per decision, mostly in the registered spelling: saves the folding.
        self._spelled: Mapping[Plane, Mapping[str, str]] = MappingProxyType(
            {
                plane: MappingProxyType({action: fold(action) for action in actions})
                for plane, actions in named.items()
            }
        )

    def find(self, action: str, plane: Plane = Plane.CONTROL) -> str | None:
        """Answer the folded spelling of a known action, None for any other text."""
        found = self._spelled[plane].get(action)
        if found is not None:
            return found
        folded = fold(action)
        return folded if folded in self._folded[plane] else None

    def names(self, plane: Plane = Plane.CONTROL) -> tuple[str, ...]:
        """Answer all actions of a plane in their registered spelling."""
        return tuple(self._folded[plane].values())


def _verbs(resource: str, *verbs: str) -> tuple[str, ...]:
    return tuple(f"{resource}/{verb}" for verb in verbs)


_CRUD: Final = ("read", "write", "delete")
_COMPUTE: Final = "Microsoft.Compute"
_AUTHORIZATION: Final = "Microsoft.Authorization"

GALLERY: Final = (
    *_verbs(f"{_COMPUTE}/galleries", *_CRUD, "share/action"),
    *_verbs(f"{_COMPUTE}/galleries/images", *_CRUD),
    *_verbs(f"{_COMPUTE}/galleries/images/versions", *_CRUD),
)
VIEWS: Final = tuple(
    f"{_COMPUTE}/locations/{collection}{below}/read"
    for collection in ("sharedGalleries", "communityGalleries")
    for below in ("", "/images", "/images/versions")
)
SOURCES: Final = (
    *_verbs(f"{_COMPUTE}/virtualMachines", *_CRUD),
    *_verbs(f"{_COMPUTE}/disks", *_CRUD),
    *_verbs(f"{_COMPUTE}/snapshots", *_CRUD),
    *_verbs(f"{_COMPUTE}/images", *_CRUD),
    *_verbs(f"{_COMPUTE}/diskEncryptionSets", *_CRUD),
    *_verbs("Microsoft.Storage/storageAccounts", *_CRUD, "listKeys/action"),
)
RESOURCES: Final = (
    *_verbs("Microsoft.Resources/subscriptions/resourceGroups", *_CRUD),
    *_verbs("Microsoft.Subscription", "cancel/action", "enable/action"),
    *_verbs(f"{_COMPUTE}/locations/capsOperations", "read"),
    *_verbs(f"{_COMPUTE}/locations/usages", "read"),
)
AUTHORIZATION: Final = (
    *_verbs(f"{_AUTHORIZATION}/roleDefinitions", *_CRUD),
    *_verbs(f"{_AUTHORIZATION}/roleAssignments", *_CRUD),
    *_verbs(f"{_AUTHORIZATION}/denyAssignments", *_CRUD),
    *_verbs(f"{_AUTHORIZATION}/roleEligibilitySchedules", "read"),
    *_verbs(f"{_AUTHORIZATION}/roleEligibilityScheduleRequests", "write"),
)
OWN: Final = (
    *_verbs("Stoa.Replication/regions", *_CRUD),
    *(
        action
        for kind in ("tenants", "managementGroups", "users", "groups", "servicePrincipals")
        for action in _verbs(f"Stoa.Directory/{kind}", *_CRUD)
    ),
    *_verbs("Stoa.Directory/subscriptions", "read", "write"),
    *_verbs("Stoa.Directory/audit", "read"),
)

#: No gallery action is a data action (gallery-semantics 5.1), so that plane is empty.
KNOWN: Final = ActionRegistry((*GALLERY, *VIEWS, *SOURCES, *RESOURCES, *AUTHORIZATION, *OWN))
